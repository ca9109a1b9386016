"""What the tests of `tidegate.cluster` share: clients of the API server, manifests, and the operator's rights."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from demo.stack import Stack
from tests.stack.mistakes import POLICY, with_
from tests.waiting import eventually
from tidegate.api import LagPolicy, TargetRef
from tidegate.cluster.workloads import Workload, workload_from

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "tidegate"
OPERATOR_NAMESPACE = "tidegate-system"
OPERATOR = f"system:serviceaccount:{OPERATOR_NAMESPACE}:tidegate"
Body = dict[str, Any]


async def configuration(stack: Stack) -> Configuration:
    """The way to the API server, as the administrator."""
    found = Configuration()
    await load_kube_config(str(stack.kubeconfig), client_configuration=found, persist_config=False)
    return found


@asynccontextmanager
async def client(stack: Stack) -> AsyncIterator[ApiClient]:
    """A client that may do everything."""
    async with ApiClient(await configuration(stack)) as api:
        yield api


@asynccontextmanager
async def client_of(stack: Stack, namespace: str, account: str) -> AsyncIterator[ApiClient]:
    """A client with the rights of a ServiceAccount."""
    settings = await configuration(stack)
    settings.cert_file = settings.key_file = None
    settings.username = settings.password = None
    token = stack.kubectl("create", "token", account, "-n", namespace).strip()
    settings.api_key = {"BearerToken": f"Bearer {token}"}
    async with ApiClient(settings) as api:
        yield api


def install_rights(stack: Stack) -> None:
    """The CRDs, the operator's rights and who may decide, by the chart; no process of it runs."""
    stack.apply(ROOT / "crds")
    stack.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=180s")
    values = "replicaCount=0,crds.enabled=false"
    where = ("-n", OPERATOR_NAMESPACE, "--create-namespace")
    stack.helm("upgrade", "--install", "tidegate", CHART, *where, "--set", values)
    asked = ("auth", "can-i", "patch", "deployments.apps", "--subresource=scale", "-A", "--as", OPERATOR)
    eventually(lambda: stack.kubectl(*asked, check=False).strip() == "yes")


class Space:
    """The objects of one namespace."""

    def __init__(self, stack: Stack, namespace: str) -> None:
        self.stack = stack
        self.name = namespace

    def apply(self, *bodies: Body) -> None:
        """Create or change objects here."""
        self.stack.apply(*({**body, "metadata": {**body["metadata"], "namespace": self.name}} for body in bodies))

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """`kubectl` in this namespace."""
        return self.stack.kubectl(*arguments, "-n", self.name, **options)

    def get(self, *what: str) -> Body:
        """An object, with its managedFields as a watch shows them."""
        found: Body = json.loads(self.kubectl("get", *what, "-o", "json", "--show-managed-fields"))
        return found

    def all(self, *what: str) -> list[Body]:
        """Objects of a kind."""
        items: list[Body] = self.get(*what)["items"]
        return items

    def workload(self, kind: str = "deployment", name: str = "web") -> Workload:
        """A Deployment or StatefulSet as a watch shows it."""
        return workload_from(self.get(kind, name))

    def policy(self, name: str = "points") -> LagPolicy:
        """A LagPolicy as a watch shows it."""
        return LagPolicy.parse(self.get("lagp", name))

    def events(self, name: str) -> list[Body]:
        """Events about an object of ours, as kubectl shows them."""
        return self.all("events", "--field-selector", f"involvedObject.name={name}")

    def replicas(self, kind: str = "deployment", name: str = "web") -> int:
        """What it asks for."""
        return int(self.get(kind, name)["spec"]["replicas"])


def workload(kind: str = "Deployment", name: str = "web", replicas: int = 1, code: str = "") -> Body:
    """A workload whose pods are processes that wait."""
    command = ["python", "-c", f"{code}\nimport time; time.sleep(600)"]
    container = {"name": "main", "image": "none", "command": command}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    template["spec"]["terminationGracePeriodSeconds"] = 1
    spec: Body = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    if kind == "StatefulSet":
        spec |= {"serviceName": name, "podManagementPolicy": "Parallel"}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def ref(kind: str = "Deployment", name: str = "web", api_version: str = "apps/v1") -> TargetRef:
    """A reference, as a policy has it."""
    return TargetRef(api_version=api_version, kind=kind, name=name)


def policy(name: str = "points", target: str = "web") -> Body:
    """A policy for a target."""
    return with_(with_(POLICY, "metadata.name", name), "spec.targetRef.name", target)


def crd(plural: str, kind: str, group: str, subresources: Body | None = None) -> Body:
    """A CustomResourceDefinition without a schema to speak of."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version: Body = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    version |= {"subresources": subresources} if subresources else {}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    meta = {"name": f"{plural}.{group}"}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec}


WORKERS = crd(
    "workers",
    "Worker",
    "cluster.test",
    {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.size",
            "statusReplicasPath": ".status.size",
            "labelSelectorPath": ".status.selector",
        },
    },
)
"""A kind with /scale that no controller looks at: its objects change only when somebody writes them."""


def worker(space: Space, selector: str = "app=web") -> TargetRef:
    """A Worker of size 1 (install WORKERS first)."""
    body = {"apiVersion": "cluster.test/v1alpha1", "kind": "Worker", "metadata": {"name": "web"}, "spec": {"size": 1}}
    space.apply(body)
    status = json.dumps({"status": {"size": 1, "selector": selector}})
    space.kubectl("patch", "worker", "web", "--subresource=status", "--type=merge", "-p", status)
    return ref("Worker", api_version="cluster.test/v1alpha1")


def install(stack: Stack, *definitions: Body | Path) -> None:
    """Install CRDs and wait until their objects can be listed."""
    stack.apply(*definitions)
    stack.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=180s")


def grant(space: Space, account: str, *rules: Body) -> None:
    """A ServiceAccount with these rights in its namespace."""
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": account, "namespace": space.name}
    role = {"apiGroup": rbac, "kind": "Role", "name": account}
    space.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": account}, "rules": list(rules)},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": account},
            "roleRef": role,
            "subjects": [subject],
        },
    )
    who = f"system:serviceaccount:{space.name}:{account}"
    for rule in rules:  # rights work a moment after they are granted
        what = f"{rule['resources'][0].split('/')[0]}.{rule['apiGroups'][0]}".rstrip(".")
        sub = rule["resources"][0].partition("/")[2]
        eventually(lambda what=what, sub=sub, rule=rule: _may(space, who, rule["verbs"][0], what, sub))


def _may(space: Space, who: str, verb: str, what: str, subresource: str) -> bool:
    options = ("--subresource", subresource) if subresource else ()
    told = space.kubectl("auth", "can-i", verb, what, *options, "--as", who, check=False)
    return told.strip() == "yes"
