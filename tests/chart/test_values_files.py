"""Every file of ci/ is what a user might write: Helm, Kubernetes 1.30 to 1.37 and checkov accept what comes of it."""

import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import kubernetes_validate
import pytest
from kubernetes_validate import utils

from demo.stack.cache import tell
from tests.chart import foreign
from tests.chart.rendering import CHART, VALUES_FILES, VERSIONS, documents, helm, rendered

UNKNOWN_TO_THE_VALIDATOR = {
    "ServiceMonitor": "not Kubernetes's own; test_server has its CRD and the API server judge it",
    "PrometheusRule": "likewise",
}

CPU_LIMIT, PULL_ALWAYS, TOKEN, DIGEST = "CKV_K8S_11", "CKV_K8S_15", "CKV_K8S_38", "CKV_K8S_43"
SECRETS, NETWORK = "CKV2_K8S_5", "CKV2_K8S_6"

ALWAYS = {TOKEN: "Tidegate talks to the API server, so its pods have the token of its ServiceAccount"}
BY_DEFAULT = ALWAYS | {
    PULL_ALWAYS: "a tag of Tidegate is never moved, and a registry that is away must not keep a standby from starting",
    CPU_LIMIT: "a throttled process reads late and may lose its Lease; set resources.limits.cpu where you must",
    DIGEST: "the chart is made before its image, so it cannot know the digest; set image.digest",
    NETWORK: "where brokers and the API server are only you know; set networkPolicy.enabled",
    SECRETS: "get, never list: connections name Secrets of any namespace; rbac.secrets: false and Roles narrow it",
}
CHECKOV_EXCEPTIONS = {
    "default": BY_DEFAULT,
    "monitoring": BY_DEFAULT,
    "large": BY_DEFAULT,
    "namespaced": BY_DEFAULT,
    "confined": {check: why for check, why in BY_DEFAULT.items() if check != SECRETS},
    "tailored": {check: why for check, why in BY_DEFAULT.items() if check != SECRETS},
    "ofrep": {check: why for check, why in BY_DEFAULT.items() if check != NETWORK},
    "hardened": ALWAYS | {SECRETS: BY_DEFAULT[SECRETS]},
}
"""Checks that may fail, by values file, and why."""


def name_of(values_file: Path) -> str:
    return values_file.stem.removesuffix("-values")


any_file = pytest.mark.parametrize("values_file", VALUES_FILES, ids=name_of)


def test_there_are_eight_files():
    assert {name_of(path) for path in VALUES_FILES} == set(CHECKOV_EXCEPTIONS)
    assert len(VALUES_FILES) == 8


@any_file
def test_helm_finds_no_fault(values_file: Path):
    done = helm("lint", "--strict", CHART, "-f", values_file, "--kube-version", VERSIONS[-1])
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout
    assert "[ERROR]" not in done.stdout


@pytest.fixture(autouse=True, scope="module")
def schemas_are_read_once() -> Iterator[None]:
    """The validator reads a megabyte of JSON for each object; the schemas stay the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield


@cache
def complaint(manifest: str, version: str) -> str:
    """What the validator says against an object, given as JSON."""
    try:
        kubernetes_validate.validate(json.loads(manifest), version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return error.message
    return ""


@pytest.mark.parametrize("version", VERSIONS)
@any_file
def test_kubernetes_knows_every_field(values_file: Path, version: str):
    objects = documents(rendered(values_file, version))
    judged = [each for each in objects if each["kind"] not in UNKNOWN_TO_THE_VALIDATOR]
    assert len(judged) > 5
    found = {f"{each['kind']} {each['metadata']['name']}": complaint(json.dumps(each), version) for each in judged}
    assert not {name: words for name, words in found.items() if words}


def test_what_the_validator_does_not_know_is_used_and_really_unknown():
    objects = [each for path in VALUES_FILES for each in documents(rendered(path))]
    for kind in UNKNOWN_TO_THE_VALIDATOR:
        example = next(each for each in objects if each["kind"] == kind)
        assert "Couldn't find schema" in complaint(json.dumps(example), VERSIONS[-1])


def test_the_validator_would_notice():
    deployment = next(each for each in documents(rendered(VALUES_FILES[0])) if each["kind"] == "Deployment")
    deployment["spec"]["replicaCount"] = 2
    assert "replicaCount" in complaint(json.dumps(deployment), VERSIONS[0])


@pytest.fixture(scope="module")
def checkov_findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """Resources that fail a check, by values file and check. Each file is a release of its own: none helps another."""
    folder = tmp_path_factory.mktemp("checkov")
    for path in VALUES_FILES:
        (folder / f"{name_of(path)}.yaml").write_text(rendered(path, release=f"tidegate-{name_of(path)}"))
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for failed in foreign.scan(foreign.checkov(tell), folder):
        found[Path(failed["file_path"]).stem][failed["check_id"]].add(failed["resource"])
    return found


@pytest.mark.timeout(900)
@any_file
def test_checkov_finds_what_is_known_and_nothing_else(values_file: Path, checkov_findings):
    found = checkov_findings[name_of(values_file)]
    known = CHECKOV_EXCEPTIONS[name_of(values_file)]
    assert {check: resources for check, resources in found.items() if check not in known} == {}
    assert set(known) - set(found) == set(), "no exception any more: take it out"
