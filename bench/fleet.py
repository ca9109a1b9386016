"""A thousand LagPolicies as people write them, each on a Deployment of its own whose pods nobody runs.

The Deployments are real: the control plane makes their ReplicaSets and pods, and follows each change of replicas. There
is no node, so no pod ever starts. The policies name no capacity, as most do.
"""

import json
from typing import Any

from bench.watch import PARTITIONS, group_name, topic_name
from demo.stack import Stack

Json = dict[str, Any]

NAMESPACES = 10
REPLICAS = 2
"""Of each Deployment, in the beginning."""
PIECE = 250
"""Objects of one `kubectl create`."""


def create(stack: Stack, bootstrap: str, policies: int) -> None:
    """Namespaces, one connection for all, and for each policy its Deployment."""
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"ns-{n}"}} for n in range(NAMESPACES)]
    kafka = {"bootstrapServers": bootstrap.split(",")}
    stack.apply(*spaces, _resource("ClusterBrokerConnection", {"name": "kafka"}, {"kafka": kafka}))
    _create(stack, [_deployment(number) for number in range(policies)])
    _create(stack, [_policy(number) for number in range(policies)])


def place(number: int, what: str) -> Json:
    """Name and namespace of a policy or a consumer."""
    return {"name": f"{what}-{number}", "namespace": f"ns-{number % NAMESPACES}"}


def _create(stack: Stack, objects: list[Json]) -> None:
    for start in range(0, len(objects), PIECE):
        whole = {"apiVersion": "v1", "kind": "List", "items": objects[start : start + PIECE]}
        stack.kubectl("create", "-f", "-", input=json.dumps(whole))


def _deployment(number: int) -> Json:
    """With what Deployments usually have."""
    labels = {"app.kubernetes.io/name": f"consumer-{number}", "app.kubernetes.io/part-of": "bench", "team": "a"}
    container = {
        "name": "consumer",
        "image": f"registry.example.com/consumer-{number}:1.0",
        "env": [{"name": f"SETTING_{n}", "value": "x" * 40} for n in range(10)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    selector = {"matchLabels": {"app.kubernetes.io/name": f"consumer-{number}"}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": REPLICAS, "selector": selector, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": place(number, "consumer"), "spec": spec}


def _policy(number: int) -> Json:
    """Nothing but what a policy must have."""
    reference = {"kind": "ClusterBrokerConnection", "name": "kafka"}
    kafka = {"connectionRef": reference, "group": group_name(number), "topics": [topic_name(number)]}
    spec = {
        "targetRef": {"name": f"consumer-{number}"},
        "source": {"kafka": kafka},
        "objective": {"maxAge": "60s"},
        "replicas": {"max": PARTITIONS},
    }
    return _resource("LagPolicy", place(number, "policy"), spec)


def _resource(kind: str, metadata: Json, spec: Json) -> Json:
    return {"apiVersion": "tidegate.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
