"""Fields of a pod as the downward API names them: `metadata.name`, `metadata.labels['app']`, `status.podIP`."""

import hashlib
import re

from demo.stack.kubelet.client import Object

NODE_IP = "127.0.0.1"
_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


def pod_ip(pod: Object) -> str:
    """An address of the loopback of the pod's own, from its uid: two pods may listen on the same port."""
    if pod["spec"].get("hostNetwork"):
        return NODE_IP
    second, third, last = hashlib.sha256(pod["metadata"]["uid"].encode()).digest()[:3]
    return f"127.{64 + second % 128}.{third}.{1 + last % 254}"


def field(pod: Object, path: str) -> str:
    """The field's value as text; ValueError if the downward API has no such field."""
    keyed = _KEYED.fullmatch(path)
    if keyed:
        return str(pod["metadata"].get(keyed[1], {}).get(keyed[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        items = pod["metadata"].get(path.removeprefix("metadata."), {})
        return "\n".join(f'{key}="{value}"' for key, value in sorted(items.items()))
    known = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "metadata.uid": pod["metadata"]["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.hostIP": NODE_IP,
        "status.podIP": pod_ip(pod),
        "status.podIPs": pod_ip(pod),
    }
    if path not in known:
        raise ValueError(
            f"fieldPath {path!r} is none of {', '.join(known)}, metadata.labels['…'], metadata.annotations['…']"
        )
    return str(known[path])
