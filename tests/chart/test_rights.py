"""Who may do what: the operator what it uses and no more, people what their role in a namespace says."""

import pytest

from tests.chart.rendering import CHART, NAMESPACE, Manifests

Right = tuple[str, str, str]


def rights(group: str, resources: str, verbs: str) -> set[Right]:
    return {(group, resource, verb) for resource in resources.split() for verb in verbs.split()}


WATCH = "list watch"
OWN = "tidegate.dev"
PROPOSING = (
    rights(OWN, "partitionproposals", "create patch delete propose")
    | rights(OWN, "partitionproposals/status", "patch")
    | rights(OWN, "lagpolicies/finalizers", "update")
)
IN_A_NAMESPACE = (
    rights(OWN, "lagpolicies brokerconnections partitionproposals", WATCH)
    | rights(OWN, "lagpolicies partitionproposals", "get")
    | rights(OWN, "lagpolicies lagpolicies/status brokerconnections/status", "patch")
    | PROPOSING
    | rights("apps", "deployments statefulsets", WATCH)
    | rights("apps", "deployments/scale statefulsets/scale replicasets/scale", "get patch")
    | rights("", "pods", WATCH)
    | rights("autoscaling", "horizontalpodautoscalers", WATCH)
    | rights("keda.sh", "scaledobjects", WATCH)
    | rights("events.k8s.io", "events", "create")
)
SECRETS = rights("", "secrets", "get")
FLAGS = rights("", "configmaps", "get patch") | rights("core.openfeature.dev", "featureflags", "get patch")
CONNECTIONS = rights(OWN, "clusterbrokerconnections", WATCH) | rights(OWN, "clusterbrokerconnections/status", "patch")
KINDS = rights("apiextensions.k8s.io", "customresourcedefinitions", "list watch")
LEASE = rights("coordination.k8s.io", "leases", "create") | rights(
    "coordination.k8s.io", "leases/tidegate", "get update"
)


@pytest.fixture(scope="module")
def default() -> Manifests:
    return Manifests.of({})


def test_the_operators_rights_are_these(default: Manifests):
    everywhere = IN_A_NAMESPACE | SECRETS | FLAGS | CONNECTIONS | KINDS
    assert default.rights("tidegate") == {None: everywhere, NAMESPACE: LEASE}


def test_with_namespaces_it_has_them_there_and_nothing_elsewhere():
    manifests = Manifests.of({"watchNamespaces": ["shop", "billing"]})
    there = IN_A_NAMESPACE | SECRETS | FLAGS
    assert manifests.rights("tidegate") == {"shop": there, "billing": there, NAMESPACE: LEASE}


def test_its_own_namespace_may_be_one_of_them():
    manifests = Manifests.of({"watchNamespaces": [NAMESPACE]})
    assert manifests.rights("tidegate") == {NAMESPACE: IN_A_NAMESPACE | SECRETS | FLAGS | LEASE}


def test_connections_of_the_cluster_with_namespaces():
    manifests = Manifests.of(CHART / "ci" / "namespaced-values.yaml")
    assert manifests.rights("tidegate")[None] == CONNECTIONS


def test_every_purpose_can_be_taken_away():
    off = {"secrets": False, "flags": False, "partitions": False}
    reading = IN_A_NAMESPACE - PROPOSING
    assert Manifests.of({"rbac": off}).rights("tidegate") == {None: reading | CONNECTIONS | KINDS, NAMESPACE: LEASE}


def test_nothing_is_installed_outside_of_namespaces_where_that_is_wished():
    confined = Manifests.of(CHART / "ci" / "confined-values.yaml")
    assert {each["metadata"].get("namespace") for each in confined.objects} == {"shop", NAMESPACE}
    own = confined.rights("tidegate")
    assert own["shop"] == IN_A_NAMESPACE - PROPOSING | rights("", "secrets/shop-kafka", "get")


def test_kinds_of_ones_own():
    ours = rights("argoproj.io", "rollouts/scale", "get patch") | rights(
        "apps.kruise.io", "clonesets/scale", "get patch"
    )
    large = Manifests.of(CHART / "ci" / "large-values.yaml")
    everywhere = IN_A_NAMESPACE | SECRETS | FLAGS | CONNECTIONS | KINDS
    assert large.rights("lag-keeper")[None] == everywhere | ours
    target = {"group": "argoproj.io", "resource": "rollouts"}
    namespaced = Manifests.of({"watchNamespaces": ["shop"], "rbac": {"scaleTargets": [target]}})
    assert rights("argoproj.io", "rollouts/scale", "get patch") <= namespaced.rights("tidegate")["shop"]


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["shop"]}], ids=["everywhere", "in a namespace"])
def test_no_right_is_a_wildcard_and_none_decides(values):
    for role in Manifests.of(values).all("Role", "ClusterRole"):
        for rule in role.get("rules", ()):
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "approve" not in rule["verbs"] or "approver" in role["metadata"]["name"]


def test_who_views_and_edits_a_namespace(default: Manifests):
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    of = {role["metadata"]["name"]: role for role in default.all("ClusterRole")}
    labels = {
        name: {key.removeprefix(prefix) for key in role["metadata"]["labels"] if key.startswith(prefix)}
        for name, role in of.items()
    }
    assert {name: to for name, to in labels.items() if to} == {
        "tidegate-view": {"view", "edit", "admin"},
        "tidegate-edit": {"edit", "admin"},
    }
    assert {verb for rule in of["tidegate-view"]["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    written = {resource for rule in of["tidegate-edit"]["rules"] for resource in rule["resources"]}
    assert written == {"lagpolicies", "brokerconnections"}, "no proposals, and no connections that read any Secret"


def test_approvers_are_bound_by_people_alone(default: Manifests):
    (role,) = [each for each in default.all("ClusterRole") if each["metadata"]["name"] == "tidegate-approver"]
    assert [rule["verbs"] for rule in role["rules"]][1] == ["approve"]
    bound = {each["roleRef"]["name"] for each in default.all("ClusterRoleBinding", "RoleBinding")}
    assert "tidegate-approver" not in bound


def test_admission_policies_act_in_the_served_namespaces():
    everywhere, shop = Manifests.of({}), Manifests.of({"watchNamespaces": ["shop"]})
    for binding in everywhere.all("ValidatingAdmissionPolicyBinding"):
        assert binding["spec"] == {"policyName": binding["metadata"]["name"], "validationActions": ["Deny"]}
    for binding in shop.all("ValidatingAdmissionPolicyBinding"):
        selector = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert selector == [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop"]}]
        assert binding["spec"]["policyName"] in shop.names("ValidatingAdmissionPolicy")


def test_refusals_name_the_role_that_there_is():
    for values, role in (
        ({}, "tidegate-approver"),
        ({"watchNamespaces": ["shop"]}, "tidegate-approver-tidegate-system"),
    ):
        manifests = Manifests.of(values)
        assert role in manifests.names("ClusterRole")
        for policy in manifests.all("ValidatingAdmissionPolicy"):
            assert f"such as the ClusterRole {role} has it" in str(policy["spec"]["validations"])


def test_approval_can_be_left_out():
    kinds = Manifests.of({"approval": {"enabled": False}}).kinds
    assert not kinds & {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


def test_rights_can_be_made_elsewhere():
    tailored = Manifests.of(CHART / "ci" / "tailored-values.yaml")
    assert tailored.rights("platform-keeper") == {}
