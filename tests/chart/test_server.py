"""The chart before a real API server: each values file is accepted, and releases for namespaces run side by side."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from demo.stack import Stack
from tests.chart import foreign
from tests.chart.rendering import CHART, NAMESPACE, ROOT, VALUES_FILES, Manifests, rendered
from tests.waiting import eventually

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
PATIENCE = "300s"
pytestmark = pytest.mark.timeout(900)


def namespace(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}


@pytest.fixture(scope="module")
def server(cluster: Stack) -> Stack:
    """An API server that knows our CRDs and the Prometheus Operator's, with the namespaces that the files speak of."""
    cluster.kubectl("apply", "--server-side", *(f"--filename={path}" for path in foreign.monitoring_crds()))
    cluster.apply(ROOT / "crds", *map(namespace, (NAMESPACE, "shop", "billing", "monitoring")))
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    return cluster


@pytest.mark.parametrize("values_file", VALUES_FILES, ids=lambda path: path.stem)
def test_the_api_server_takes_all_of_it_without_a_warning(values_file: Path, server: Stack):
    text = rendered(values_file, server_version(server))
    told = server.kubectl("apply", "--dry-run=server", "--filename=-", input=text, check=False)
    lines = [line for line in told.splitlines() if "missing the kubectl.kubernetes.io/last-applied" not in line]
    strange = [line for line in lines if not line.endswith("(server dry run)")]
    assert not strange
    assert len(lines) == len([each for each in yaml.safe_load_all(text) if each])


def server_version(server: Stack) -> str:
    told = yaml.safe_load(server.kubectl("version", "-o", "yaml"))
    return str(told["serverVersion"]["gitVersion"])


def test_the_api_server_would_warn_of_what_is_not_restricted(server: Stack):
    (deployment,) = Manifests.of({"podSecurityContext": {"runAsNonRoot": False}}).all("Deployment")
    told = server.kubectl("apply", "--dry-run=server", "--filename=-", input=yaml.safe_dump(deployment), check=False)
    assert "would violate PodSecurity" in told


def notes(server: Stack, *arguments: str) -> str:
    """What `helm install` would say."""
    told = server.helm(
        "install", "tidegate", CHART, "-n", NAMESPACE, "--dry-run=server", "--take-ownership", *arguments
    )
    return told.rpartition("NOTES:\n")[2]


def test_the_notes_say_the_next_three_commands(server: Stack):
    said = notes(server)
    assert re.findall(r"^(\d)\. ", said, re.M) == ["1", "2", "3"]
    commands = re.findall(r"^   (kubectl .*)$", said, re.M)
    assert commands == [
        f"kubectl rollout status deployment/tidegate -n {NAMESPACE}",
        "kubectl apply -n default -f - <<END",
        "kubectl get lagpolicies -n default -o wide --watch",
    ]
    assert "all namespaces" in said


def test_what_the_notes_apply_is_accepted(server: Stack):
    said = notes(server, "--set", "watchNamespaces={shop}")
    manifest = "\n".join(line[3:] for line in said.partition("<<END\n")[2].partition("   END")[0].splitlines())
    told = server.kubectl("apply", "-n", "shop", "--dry-run=server", "--filename=-", input=manifest)
    assert told.splitlines() == [
        "brokerconnection.tidegate.dev/kafka created (server dry run)",
        "lagpolicy.tidegate.dev/points created (server dry run)",
    ]


def test_the_notes_warn_of_what_is_less_safe(server: Stack):
    said = notes(server, "--set", "approval.enabled=false,replicaCount=1,crds.enabled=false")
    assert "whoever may edit a PartitionProposal may approve it" in said
    assert "nothing is scaled while that one is restarted" in said
    assert "Tidegate becomes ready once its CRDs are there" in said


@pytest.fixture(scope="module")
def teams(server: Stack) -> Iterator[dict[str, str]]:
    """Two releases in namespaces of two teams, each with a namespace to serve, really installed and running."""
    serves = {"team-a": "shop", "team-b": "billing"}
    for team, served in serves.items():
        server.apply(namespace(team))
        values = f"watchNamespaces={{{served}}},crds.enabled=false,operator.listenHost=$(POD_IP),operator.period=2"
        server.helm("install", "tidegate", CHART, "-n", team, "--set", values)
    for team in serves:
        server.kubectl("rollout", "status", "deployment/tidegate", "-n", team, f"--timeout={PATIENCE}")
    yield serves
    for team in serves:
        server.helm("uninstall", "tidegate", "-n", team, "--no-hooks")


def may(server: Stack, team: str, verb: str, what: str, where: str, subresource: str = "") -> bool:
    who = f"system:serviceaccount:{team}:tidegate"
    options = [f"--subresource={subresource}"] if subresource else []
    return server.kubectl("auth", "can-i", verb, what, "-n", where, "--as", who, *options, check=False).strip() == "yes"


def test_releases_for_namespaces_run_side_by_side(server: Stack, teams: dict[str, str]):
    for team, served in teams.items():
        for namespace_ in teams.values():
            own = namespace_ == served
            assert may(server, team, "patch", "deployments.apps", namespace_, "scale") is own
            assert may(server, team, "get", "secrets", namespace_) is own
            assert may(server, team, "watch", "lagpolicies.tidegate.dev", namespace_) is own
            assert may(server, team, "update", "leases.coordination.k8s.io/tidegate", namespace_) is False


def test_each_team_has_a_lease_of_its_own(server: Stack, teams: dict[str, str]):
    for team in teams:
        asked = ("get", "lease", "tidegate", "-n", team, "-o", "jsonpath={.spec.holderIdentity}")
        assert eventually(partial(server.kubectl, *asked)).startswith("tidegate-")


def test_their_policies_of_admission_stay_in_their_namespaces(server: Stack, teams: dict[str, str]):
    bindings = yaml.safe_load(server.kubectl("get", "validatingadmissionpolicybindings", "-o", "yaml"))["items"]
    selected = {
        each["metadata"]["name"]: each["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][0]["values"]
        for each in bindings
        if each["metadata"]["name"].startswith("tidegate-")
    }
    assert selected == {
        f"tidegate-{policy}-{team}": [served]
        for team, served in teams.items()
        for policy in ("apply-mode", "proposal-approval")
    }
