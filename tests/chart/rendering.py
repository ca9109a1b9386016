"""The chart rendered by the real Helm, and questions to what came out."""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from demo.stack import binaries
from demo.stack.cache import tell

Object = dict[str, Any]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "tidegate"
VALUES_FILES = sorted((CHART / "ci").glob("*-values.yaml"))
NAMESPACE = "tidegate-system"
VERSIONS = tuple(f"1.{minor}" for minor in range(30, 38))
"""Kubernetes versions that the chart is checked for."""


def helm(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run Helm, without the user's settings and repositories."""
    with tempfile.TemporaryDirectory() as home:
        env = {f"HELM_{kind}_HOME": home for kind in ("CACHE", "CONFIG", "DATA")}
        command = [binaries.helm(tell) / "helm", *arguments]
        return subprocess.run(command, env=env, text=True, capture_output=True, check=False)


def template(
    *arguments: str | Path, release: str = "tidegate", namespace: str = NAMESPACE, version: str = VERSIONS[-1]
) -> "subprocess.CompletedProcess[str]":
    """`helm template`, as for a cluster of that Kubernetes version."""
    return helm("template", release, CHART, "-n", namespace, "--kube-version", version, *arguments)


@cache
def rendered(values_file: Path, version: str = VERSIONS[-1], release: str = "tidegate") -> str:
    """The manifests of a values file; AssertionError with Helm's words where it refuses."""
    done = template("-f", values_file, version=version, release=release)
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(text: str) -> list[Object]:
    """The objects in a stream of YAML."""
    return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]


@dataclass
class Manifests:
    """What a release consists of."""

    objects: Sequence[Object]

    @classmethod
    def of(cls, values: Mapping[str, Any] | Path, release: str = "tidegate", namespace: str = NAMESPACE) -> "Manifests":
        """Rendered from a values file, or from values."""
        if isinstance(values, Path):
            return cls(documents(rendered(values)))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(dict(values), file)
            file.flush()
            done = template("-f", file.name, release=release, namespace=namespace)
        assert done.returncode == 0, done.stderr
        return cls(documents(done.stdout))

    def all(self, *kinds: str) -> list[Object]:
        """Objects of these kinds."""
        return [each for each in self.objects if each["kind"] in kinds]

    def one(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """The object of that kind and name (and namespace, where several have them)."""
        found = [
            each
            for each in self.all(kind)
            if each["metadata"]["name"] == name and namespace in (None, each["metadata"].get("namespace"))
        ]
        assert len(found) == 1, f"{len(found)} of {kind} {name}; there are {self.names(kind)}"
        return found[0]

    def names(self, kind: str) -> list[str]:
        """Names of all objects of that kind."""
        return sorted(each["metadata"]["name"] for each in self.all(kind))

    @property
    def kinds(self) -> set[str]:
        """All kinds there are."""
        return {each["kind"] for each in self.objects}

    @property
    def pod(self) -> Object:
        """The pod template of the operator."""
        (deployment,) = self.all("Deployment")
        template: Object = deployment["spec"]["template"]
        return template

    @property
    def container(self) -> Object:
        """The operator's container."""
        (container,) = self.pod["spec"]["containers"]
        return dict(container)

    @property
    def env(self) -> dict[str, Any]:
        """Its environment: a value, or where it comes from."""
        return {each["name"]: each.get("value", each.get("valueFrom")) for each in self.container["env"]}

    def rights(self, account: str, account_namespace: str = NAMESPACE) -> dict[str | None, set[tuple[str, str, str]]]:
        """What the bound roles let a ServiceAccount do: (group, resource, verb) by namespace, None: everywhere."""
        given: dict[str | None, set[tuple[str, str, str]]] = {}
        for binding in self.all("ClusterRoleBinding", "RoleBinding"):
            for subject in binding.get("subjects", ()):
                if (subject["kind"], subject["name"], subject.get("namespace")) == (
                    "ServiceAccount",
                    account,
                    account_namespace,
                ):
                    given.setdefault(binding["metadata"].get("namespace"), set()).update(self._of_role(binding))
        return given

    def _of_role(self, binding: Object) -> Iterator[tuple[str, str, str]]:
        ref = binding["roleRef"]
        role = self.one(
            ref["kind"], ref["name"], binding["metadata"].get("namespace") if ref["kind"] == "Role" else None
        )
        for part in (role, *self._aggregated(role)):
            for rule in part.get("rules", ()):
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        names = ",".join(rule.get("resourceNames", ()))
                        for verb in rule["verbs"]:
                            yield group, f"{resource}/{names}" if names else resource, verb

    def _aggregated(self, role: Object) -> list[Object]:
        selectors = [s["matchLabels"] for s in role.get("aggregationRule", {}).get("clusterRoleSelectors", ())]
        return [
            other
            for other in self.all("ClusterRole")
            if any(selector.items() <= other["metadata"]["labels"].items() for selector in selectors)
        ]
