"""Fields of a pod as the downward API names them: `metadata.name`, `metadata.labels['app']`, `status.podIP`."""

import re

from demo.stack.kubelet.client import Object

IP = "127.0.0.1"
_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


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
        "status.hostIP": IP,
        "status.podIP": IP,
        "status.podIPs": IP,
    }
    if path not in known:
        raise ValueError(
            f"fieldPath {path!r} is none of {', '.join(known)}, metadata.labels['…'], metadata.annotations['…']"
        )
    return str(known[path])
