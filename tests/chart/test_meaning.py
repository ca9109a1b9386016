"""What a release consists of, and what it means: the promises of the chart's values, one by one."""

import json
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, NAMESPACE, ROOT, Manifests, documents, template
from tidegate import __version__

CI = CHART / "ci"


@pytest.fixture(scope="module")
def default() -> Manifests:
    return Manifests.of({})


@pytest.fixture(scope="module")
def namespaced() -> Manifests:
    return Manifests.of(CI / "namespaced-values.yaml")


# Names: documentation, tests and other charts rely on them


def test_a_release_called_tidegate_has_these_objects(default: Manifests):
    names = {kind: default.names(kind) for kind in default.kinds}
    roles = ["", "-approver", "-edit", "-flags", "-scale", "-scale-more", "-secrets", "-view"]
    policies = ["tidegate-apply-mode", "tidegate-proposal-approval"]
    assert names == {
        "CustomResourceDefinition": sorted(path.stem for path in (ROOT / "crds").iterdir()),
        "Deployment": ["tidegate"],
        "ServiceAccount": ["tidegate"],
        "Service": ["tidegate"],
        "PodDisruptionBudget": ["tidegate"],
        "Role": ["tidegate-lease"],
        "RoleBinding": ["tidegate-lease"],
        "ClusterRole": [f"tidegate{suffix}" for suffix in roles],
        "ClusterRoleBinding": [
            "tidegate",
            "tidegate-flags",
            "tidegate-scale",
            "tidegate-scale-more",
            "tidegate-secrets",
        ],
        "ValidatingAdmissionPolicy": policies,
        "ValidatingAdmissionPolicyBinding": policies,
        "Job": ["tidegate-retire"],
    }


def test_everything_that_can_be_is_in_the_releases_namespace(default: Manifests):
    inside = {"Deployment", "ServiceAccount", "Service", "PodDisruptionBudget", "Role", "RoleBinding", "Job"}
    assert {each["metadata"].get("namespace") for each in default.all(*inside)} == {NAMESPACE}


def test_another_release_has_names_of_its_own():
    other = Manifests.of({"crds": {"enabled": False}}, release="lag", namespace="lag")
    assert {each["metadata"]["name"].startswith("lag-tidegate") for each in other.objects} == {True}


def test_releases_for_namespaces_share_a_cluster():
    values = {"crds": {"enabled": False}, "watchNamespaces": ["shop"], "rbac": {"clusterConnections": True}}
    a, b = (Manifests.of(values, namespace=name) for name in ("team-a", "team-b"))

    def outside(manifests: Manifests) -> set[tuple[str, str]]:
        return {
            (each["kind"], each["metadata"]["name"])
            for each in manifests.objects
            if "namespace" not in each["metadata"]
        }

    assert outside(a)
    assert not outside(a) & outside(b)
    assert {name.rsplit("-team-")[-1] for _, name in outside(a)} == {"a"}


def test_long_names_stay_within_what_kubernetes_takes():
    values = {"watchNamespaces": ["n" * 63], "ofrep": {"enabled": True}, "metrics": {"dashboard": {"enabled": True}}}
    for each in Manifests.of(values, release="r" * 53).objects:
        name = each["metadata"]["name"]
        assert len(name) <= (63 if each["kind"] in {"Service", "Job"} else 253), name


def test_all_objects_say_whose_they_are(default: Manifests):
    for each in default.objects:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "tidegate"
        assert labels["app.kubernetes.io/part-of"] == "tidegate"
        assert labels["app.kubernetes.io/version"] == __version__
        assert labels["helm.sh/chart"] == f"tidegate-{__version__}"


def test_peoples_labels_are_on_everything():
    for each in Manifests.of(CI / "large-values.yaml").objects:
        assert each["metadata"]["labels"]["example.com/cost-center"] == "4711", each["kind"]


# The pods


def test_selectors_find_the_pods_of_the_operator_and_no_others(default: Manifests):
    labels = default.pod["metadata"]["labels"]
    (job,) = default.all("Job")
    retiring = job["spec"]["template"]["metadata"]["labels"]
    selectors = [
        default.one("Deployment", "tidegate")["spec"]["selector"]["matchLabels"],
        default.one("PodDisruptionBudget", "tidegate")["spec"]["selector"]["matchLabels"],
        default.one("Service", "tidegate")["spec"]["selector"],
        *(each["labelSelector"]["matchLabels"] for each in default.pod["spec"]["topologySpreadConstraints"]),
    ]
    assert len(selectors) == 5
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= retiring.items()


def test_the_selector_of_a_deployment_can_never_change(default: Manifests):
    selector = default.one("Deployment", "tidegate")["spec"]["selector"]["matchLabels"]
    assert selector == {
        "app.kubernetes.io/name": "tidegate",
        "app.kubernetes.io/instance": "tidegate",
        "app.kubernetes.io/component": "operator",
    }


def test_settings_come_by_the_environment(default: Manifests):
    assert default.container["command"] == ["tidegate", "run"]
    assert "args" not in default.container
    where = {name: value["fieldRef"]["fieldPath"] for name, value in default.env.items() if isinstance(value, dict)}
    assert where == {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_IP": "status.podIP"}
    assert {name: value for name, value in default.env.items() if name not in where} == {
        "TIDEGATE_LEASE": "$(POD_NAMESPACE)/tidegate",
        "TIDEGATE_PERIOD": "5",
        "TIDEGATE_LISTEN": ":8080",
        "TIDEGATE_LOG_LEVEL": "info",
        "TIDEGATE_LOG_FORMAT": "json",
    }


def test_variables_that_others_refer_to_come_first(default: Manifests):
    names = list(default.env)
    assert names.index("POD_NAMESPACE") < names.index("TIDEGATE_LEASE")
    assert names.index("POD_IP") < names.index("TIDEGATE_LISTEN")


def test_it_listens_where_it_is_told():
    values = {"operator": {"listenHost": "$(POD_IP)", "port": 9090}, "ofrep": {"enabled": True}}
    told = Manifests.of(values)
    assert told.env["TIDEGATE_LISTEN"] == "$(POD_IP):9090"
    assert told.env["TIDEGATE_OFREP_LISTEN"] == "$(POD_IP):8016"
    assert {each["name"]: each["containerPort"] for each in told.container["ports"]} == {"http": 9090, "ofrep": 8016}


def test_probes_go_to_the_port_by_its_name(default: Manifests):
    paths = {f"{what}Probe": default.container[f"{what}Probe"]["httpGet"] for what in ("liveness", "readiness")}
    assert paths == {
        "livenessProbe": {"path": "/healthz", "port": "http"},
        "readinessProbe": {"path": "/readyz", "port": "http"},
    }


def test_what_people_add_to_the_pods():
    tailored = Manifests.of(CI / "tailored-values.yaml")
    container, spec = tailored.container, tailored.pod["spec"]
    assert container["args"] == ["--period", "7.5"]
    assert tailored.env["HTTPS_PROXY"] == "http://proxy.example.com:3128"
    assert {each["name"]: each["mountPath"] for each in container["volumeMounts"]} == {"tmp": "/tmp", "ca": "/etc/ca"}
    assert [each["name"] for each in spec["volumes"]] == ["tmp", "ca"]
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "example.com/pool": "system"}
    assert spec["tolerations"][0]["value"] == "system"
    assert spec["affinity"].keys() == {"podAntiAffinity"}
    assert tailored.pod["metadata"]["annotations"]["example.com/inject"] == "false"
    assert tailored.pod["metadata"]["labels"]["example.com/egress"] == "brokers"
    assert spec["serviceAccountName"] == "platform-keeper"
    assert tailored.env["TIDEGATE_LOG_FORMAT"] == "text"
    assert tailored.one("ConfigMap", "tidegate-keeper-notes")["metadata"]["namespace"] == NAMESPACE
    assert not tailored.kinds & {"ServiceAccount", "ClusterRoleBinding", "Job", "PodDisruptionBudget", "Service"}


def test_the_job_at_the_end_has_what_the_pods_have():
    values = {
        "extraEnv": [{"name": "A", "value": "b"}],
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "registry"}],
        "podLabels": {"example.com/egress": "brokers"},
    }
    both = Manifests.of(values)
    job = both.one("Job", "tidegate-retire")["spec"]["template"]
    for what in ("tolerations", "imagePullSecrets", "securityContext", "nodeSelector", "volumes", "serviceAccountName"):
        assert job["spec"][what] == both.pod["spec"][what]
    (container,) = job["spec"]["containers"]
    for what in ("image", "env", "securityContext", "resources", "volumeMounts"):
        assert container[what] == both.container[what]
    assert job["metadata"]["labels"]["example.com/egress"] == "brokers"


def test_the_image_by_tag_and_by_digest():
    assert Manifests.of({}).container["image"] == f"ghcr.io/tidegate/tidegate:{__version__}"
    digest = "sha256:" + "0" * 64
    values = {"image": {"registry": "localhost:5000/mirror", "repository": "a/b", "tag": "9.9", "digest": digest}}
    assert Manifests.of(values).container["image"] == f"localhost:5000/mirror/a/b:9.9@{digest}"


def test_pods_are_restricted(default: Manifests):
    for template_ in (default.pod, default.one("Job", "tidegate-retire")["spec"]["template"]):
        security = template_["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == 65532
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = template_["spec"]["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_a_token_is_mounted_where_it_is_needed_only(default: Manifests):
    assert default.one("ServiceAccount", "tidegate")["automountServiceAccountToken"] is False
    assert default.pod["spec"]["automountServiceAccountToken"] is True


def test_there_is_always_one_while_it_is_upgraded_or_drained(default: Manifests):
    deployment = default.one("Deployment", "tidegate")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    budget = default.one("PodDisruptionBudget", "tidegate")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert "minAvailable" not in budget
    large = Manifests.of(CI / "large-values.yaml").one("PodDisruptionBudget", "lag-keeper")["spec"]
    assert large["minAvailable"] == 2
    assert "maxUnavailable" not in large


def test_replicas_are_spread(default: Manifests):
    spread = default.pod["spec"]["topologySpreadConstraints"]
    keys = {each["topologyKey"]: each["whenUnsatisfiable"] for each in spread}
    assert keys == {"kubernetes.io/hostname": "ScheduleAnyway", "topology.kubernetes.io/zone": "ScheduleAnyway"}
    own = {"matchLabels": {"app": "mine"}}
    constraint = {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": own}
    (kept,) = Manifests.of({"topologySpreadConstraints": [constraint]}).pod["spec"]["topologySpreadConstraints"]
    assert kept == constraint


# Custom resources


@pytest.mark.parametrize("keep", [True, False])
def test_crds_are_those_of_the_project_to_the_letter(keep: bool):
    chart = Manifests.of({"crds": {"keep": keep}}).all("CustomResourceDefinition")
    own = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").iterdir())]
    assert {each["metadata"]["name"]: each["spec"] for each in chart} == {
        each["metadata"]["name"]: each["spec"] for each in own
    }
    for each in chart:
        annotations = each["metadata"].get("annotations", {})
        assert annotations == ({"helm.sh/resource-policy": "keep"} if keep else {})


def test_crds_can_be_left_to_others(namespaced: Manifests):
    assert not namespaced.all("CustomResourceDefinition")


# Serving flags


def test_flags_are_served_with_a_token():
    ofrep = Manifests.of(CI / "ofrep-values.yaml")
    assert ofrep.env["TIDEGATE_OFREP_LISTEN"] == ":9016"
    path = ofrep.env["TIDEGATE_OFREP_TOKEN_FILE"]
    mount = next(each for each in ofrep.container["volumeMounts"] if each["name"] == "ofrep-token")
    volume = next(each for each in ofrep.pod["spec"]["volumes"] if each["name"] == "ofrep-token")
    assert mount["readOnly"] is True
    assert path == f"{mount['mountPath']}/token"
    assert volume["secret"] == {"secretName": "ofrep-tokens", "items": [{"key": "tokens", "path": "token"}]}
    service = ofrep.one("Service", "tidegate-ofrep")["spec"]
    assert service["ports"] == [
        {"name": "ofrep", "port": 9016, "targetPort": "ofrep", "protocol": "TCP", "appProtocol": "http"}
    ]
    assert service["selector"].items() <= ofrep.pod["metadata"]["labels"].items()


def test_flags_without_a_token():
    ofrep = Manifests.of({"ofrep": {"enabled": True}})
    assert "TIDEGATE_OFREP_TOKEN_FILE" not in ofrep.env
    assert [each["name"] for each in ofrep.pod["spec"]["volumes"]] == ["tmp"]


# Network


def peers(rules: list[dict[str, Any]], port: int) -> Any:
    """Who is on the other side of the one rule with that port; None: everybody."""
    (rule,) = [each for each in rules if port in {each_port["port"] for each_port in each["ports"]}]
    return rule.get("from") or rule.get("to")


def test_only_what_is_needed_goes_through():
    policy = Manifests.of(CI / "hardened-values.yaml").one("NetworkPolicy", "tidegate")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert peers(policy["ingress"], 8080) == [monitoring]
    assert len(policy["ingress"]) == 1
    assert peers(policy["egress"], 53) is None
    assert peers(policy["egress"], 6443) == [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    assert peers(policy["egress"], 9093)[0]["podSelector"] == {"matchLabels": {"strimzi.io/kind": "Kafka"}}
    assert peers(policy["egress"], 443) == [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
    assert len(policy["egress"]) == 4


def test_the_network_policy_is_for_the_job_at_the_end_too():
    both = Manifests.of({"networkPolicy": {"enabled": True}})
    selector = both.one("NetworkPolicy", "tidegate")["spec"]["podSelector"]["matchLabels"]
    job = both.one("Job", "tidegate-retire")["spec"]["template"]
    for each in (both.pod, job):
        assert selector.items() <= each["metadata"]["labels"].items()


def test_flags_are_open_to_the_shop_alone():
    policy = Manifests.of(CI / "ofrep-values.yaml").one("NetworkPolicy", "tidegate")["spec"]
    assert peers(policy["ingress"], 9016) == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    ]
    assert peers(policy["ingress"], 8080) is None


# Monitoring


@pytest.fixture(scope="module")
def monitoring() -> Manifests:
    return Manifests.of(CI / "monitoring-values.yaml")


def test_prometheus_finds_the_metrics(monitoring: Manifests):
    monitor, service = monitoring.one("ServiceMonitor", "tidegate"), monitoring.one("Service", "tidegate")
    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    spec = monitor["spec"]
    assert spec["namespaceSelector"] == {"matchNames": [NAMESPACE]}
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][spec["jobLabel"]] == "tidegate"
    (endpoint,) = spec["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert (endpoint["path"], endpoint["honorLabels"]) == ("/metrics", True)
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("15s", "10s")
    assert endpoint["relabelings"][0]["targetLabel"] == "node"
    assert endpoint["metricRelabelings"][0]["action"] == "drop"
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")


def test_flags_are_not_scraped():
    both = Manifests.of({"ofrep": {"enabled": True}, "metrics": {"serviceMonitor": {"enabled": True}}})
    selector = both.one("ServiceMonitor", "tidegate")["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= both.one("Service", "tidegate-ofrep")["metadata"]["labels"].items()


def test_all_alerts_are_there_as_they_were_written(monitoring: Manifests):
    written = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
    groups = monitoring.one("PrometheusRule", "tidegate")["spec"]["groups"]
    for group in groups:
        for rule in group["rules"]:
            assert rule["labels"].pop("team") == "platform"
    assert groups == written


def test_an_alert_can_be_left_out():
    written = [rule["alert"] for group in alerts() for rule in group["rules"] if "alert" in rule]
    rule = {"enabled": True, "disabled": written[:1]}
    kept = Manifests.of({"metrics": {"prometheusRule": rule}})
    groups = kept.all("PrometheusRule")[0]["spec"]["groups"]
    assert [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule] == written[1:]


def alerts() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
    return groups


def test_the_dashboard_is_the_file_itself(monitoring: Manifests):
    found = monitoring.one("ConfigMap", "tidegate-dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["annotations"] == {"grafana_folder": "Tidegate"}
    written = json.loads((CHART / "files" / "dashboard.json").read_text())
    assert json.loads(found["data"]["tidegate.json"]) == written


def test_monitoring_is_off_by_default(default: Manifests):
    assert not default.kinds & {"ServiceMonitor", "PrometheusRule", "ConfigMap", "NetworkPolicy"}


# The end


def test_what_was_changed_is_put_back_before_anything_is_deleted():
    manifests = Manifests.of({"retire": {"timeout": "90s"}})
    job = manifests.one("Job", "tidegate-retire")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    assert "hook-failed" not in job["metadata"]["annotations"]["helm.sh/hook-delete-policy"], "its log is needed then"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["tidegate", "retire", "--within", "90s"]
    assert job["spec"]["activeDeadlineSeconds"] == 90 + 60
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert {each["name"]: each.get("value") for each in container["env"]}[
        "TIDEGATE_LEASE"
    ] == "$(POD_NAMESPACE)/tidegate"


def test_minutes_are_seconds():
    assert (
        Manifests.of({"retire": {"timeout": "3m"}}).one("Job", "tidegate-retire")["spec"]["activeDeadlineSeconds"]
        == 240
    )


# Objects beside


def test_objects_beside_are_templates():
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-a'}"
    values = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-b"}}
    assert Manifests.of({"extraObjects": [text, values]}).names("ConfigMap") == ["tidegate-a", "tidegate-b"]


def test_one_template_can_be_shown_alone():
    done = template("--show-only", "templates/approval.yaml")
    assert {each["kind"] for each in documents(done.stdout)} == {
        "ClusterRole",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
