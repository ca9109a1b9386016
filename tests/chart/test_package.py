"""What is said about the chart: Chart.yaml, the README that is made of the values, and what is packed."""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, ROOT, VALUES_FILES, Manifests, helm
from tidegate import __version__
from tools.chart import ChartError, chart_readme, values

ABOUT: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text())


def told(name: str) -> Any:
    """What an annotation of Artifact Hub says."""
    return yaml.safe_load(ABOUT["annotations"][f"artifacthub.io/{name}"])


def test_chart_and_program_have_one_version():
    assert ABOUT["version"] == ABOUT["appVersion"] == __version__


def test_artifact_hub_is_told_of_the_image_that_is_used():
    assert [each["image"] for each in told("images")] == [Manifests.of({}).container["image"]]


def test_artifact_hub_is_told_of_all_crds():
    crds = [yaml.safe_load(path.read_text())["spec"] for path in (ROOT / "crds").iterdir()]
    wanted = {
        (crd["names"]["kind"], crd["versions"][0]["name"], f"{crd['names']['plural']}.{crd['group']}") for crd in crds
    }
    assert {(each["kind"], each["version"], each["name"]) for each in told("crds")} == wanted
    assert all(each["displayName"] and each["description"] for each in told("crds"))


def test_artifact_hubs_examples_are_ours():
    ours = list(yaml.safe_load_all((ROOT / "examples" / "minimal.yaml").read_text()))
    assert told("crdsExamples") == ours


def test_artifact_hub_knows_what_it_is():
    assert told("category") == "streaming-messaging"
    assert told("operator") is True
    assert told("operatorCapabilities") in ("Full Lifecycle", "Deep Insights")
    assert {each["kind"] for each in told("changes")} <= {
        "added",
        "changed",
        "deprecated",
        "removed",
        "fixed",
        "security",
    }


def test_the_packed_chart_has_all_that_it_needs_and_nothing_else(tmp_path: Path):
    done = helm("package", CHART, "-d", tmp_path)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as packed:
        names = {name.removeprefix("tidegate/") for name in packed.getnames()}
    assert {"Chart.yaml", "README.md", "values.yaml", "values.schema.json", "files/alerts.yaml"} <= names
    assert not {name for name in names if name.startswith("ci/") or name.endswith(".in")}
    assert archive.stat().st_size < 500_000, "Helm keeps it in a Secret, of at most 1 MB"


# The README


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A chart to spoil."""
    return Path(shutil.copytree(CHART, tmp_path / "tidegate"))


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1, f"{before!r} is there {text.count(before)} times"
    path.write_text(text.replace(before, after))


def test_every_value_has_a_row_with_its_type_its_default_and_its_words():
    page = (CHART / "README.md").read_text()
    assert "| `replicaCount` | integer, 0 to 10 | `2` | How many processes. " in page
    assert (
        '| `image.pullPolicy` | Always or IfNotPresent or Never | `"IfNotPresent"` | When the image is pulled. |'
        in page
    )
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and line.count("|") == 5]
    assert rows == [value.key for value in values(CHART)]
    assert len(rows) > 80


def test_defaults_are_those_of_helm():
    shown = yaml.safe_load(helm("show", "values", CHART).stdout)
    for value in values(CHART):
        found = shown
        for part in value.key.split("."):
            found = found[part]
        assert found == value.default


def test_a_value_without_words_is_refused(copy: Path):
    (comment,) = [
        line for line in (copy / "values.yaml").read_text().splitlines() if line.startswith("# How many proc")
    ]
    change(copy / "values.yaml", f"{comment}\n", "")
    with pytest.raises(ChartError, match=r"what these are, in a comment above each: replicaCount$"):
        chart_readme(copy)


def test_a_value_that_the_schema_does_not_know_is_refused(copy: Path):
    change(copy / "values.yaml", "replicaCount: 2", "replicaCount: 2\n# New.\nreplicaLimit: 3")
    with pytest.raises(ChartError, match=r"values\.yaml has replicaLimit, values\.schema\.json does not know it"):
        chart_readme(copy)


def test_a_value_that_only_the_schema_knows_is_refused(copy: Path):
    schema = json.loads((copy / "values.schema.json").read_text())
    schema["properties"]["rbac"]["properties"]["pods"] = {"type": "boolean"}
    (copy / "values.schema.json").write_text(json.dumps(schema))
    with pytest.raises(ChartError, match=r"values\.schema\.json knows rbac\.pods, values\.yaml does not"):
        chart_readme(copy)


def test_the_schema_refuses_unknown_keys_everywhere():
    """But for maps whose keys are the user's own, or Kubernetes's whole structures."""
    open_maps: list[str] = []

    def look(schema: dict[str, Any], path: str) -> None:
        if schema.get("type") == "object" and schema.get("additionalProperties", True) is True:
            open_maps.append(path)
        for name, part in schema.get("properties", {}).items():
            look(part, f"{path}.{name}")

    look(json.loads((CHART / "values.schema.json").read_text()), "")
    assert open_maps == [
        ".global",
        ".affinity.nodeAffinity",
        ".affinity.podAffinity",
        ".affinity.podAntiAffinity",
        ".podSecurityContext",
        ".securityContext",
    ]


def test_every_value_is_set_by_a_file_of_ci_or_is_of_no_consequence():
    """What no file sets is rendered with its default alone."""
    used: set[str] = set()

    def walk(tree: Any, path: str) -> None:
        used.add(path)
        if isinstance(tree, dict):
            for key, part in tree.items():
                walk(part, f"{path}.{key}" if path else key)

    for path in VALUES_FILES:
        walk(yaml.safe_load(path.read_text()), "")
    left = {value.key for value in values(CHART)} - used
    assert left == {
        "image.tag",
        "image.pullPolicy",
        "crds.keep",
        "operator.listenHost",
        "operator.port",
        "serviceAccount.annotations",
        "podDisruptionBudget.maxUnavailable",
        "podSecurityContext",
        "securityContext",
        "metrics.serviceMonitor.annotations",
        "metrics.prometheusRule.annotations",
        "metrics.prometheusRule.disabled",
        "metrics.dashboard.labels",
    }
