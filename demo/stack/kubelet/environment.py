"""A container's environment and command line (references and `$(NAME)` resolved)."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.stack.kubelet.client import Object
from demo.stack.kubelet.fields import field
from demo.stack.kubelet.sources import MissingError, Sources
from demo.stack.processes import CHECKOUT, MARK

Environment = dict[str, str]
_REFERENCE = re.compile(r"\$\$|\$\(([^()$]+)\)")


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value; an unknown one stays, and `$$` is a dollar sign."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else env.get(found[1], found[0])

    return _REFERENCE.sub(value, text)


def command_line(container: Object, env: Mapping[str, str]) -> list[str]:
    """What to run; ValueError where only the image would know."""
    parts: Sequence[str] = [*container.get("command", ()), *container.get("args", ())]
    if not container.get("command"):
        raise ValueError(
            f"container {container['name']!r} has no command: the process kubelet has no image to take it from"
        )
    return [expand(part, env) for part in parts]


async def environment(pod: Object, container: Object, root: Path, stack: Path, sources: Sources) -> Environment:
    """The whole environment: the kubelet's own part, then envFrom, then env; later ones may refer to earlier ones.

    Raises MissingError for a missing ConfigMap, Secret or key, ValueError for what the process kubelet does not know.
    """
    env = _base(pod, root, stack, sources)
    for source in container.get("envFrom", ()):
        env |= await _all_keys(pod, source, sources)
    for item in container.get("env", ()):
        if "valueFrom" in item:
            value = await _value_from(pod, item["valueFrom"], sources)
            env |= {} if value is None else {item["name"]: value}
        else:
            env[item["name"]] = expand(item.get("value", ""), env)
    return env


def _base(pod: Object, root: Path, stack: Path, sources: Sources) -> Environment:
    host, _, port = sources.client.server.removeprefix("https://").partition(":")
    env = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{CHECKOUT / 'operator'}{os.pathsep}{CHECKOUT}",  # whatever checkout the environment installed
        "PYTHONUNBUFFERED": "1",
        "LANG": "C.UTF-8",
        "HOME": str(root),
        "TMPDIR": str(root / "tmp"),
        "HOSTNAME": pod["metadata"]["name"],
        "POD_ROOT": str(root),
        MARK: str(stack),
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": port,
    }
    kubeconfig = root.parent / "kubeconfig"
    return env | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig.exists() else {})


async def _all_keys(pod: Object, source: Object, sources: Sources) -> Environment:
    kind, ref = ("configmaps", "configMapRef") if "configMapRef" in source else ("secrets", "secretRef")
    wanted = source[ref]
    data = await sources.data(
        kind, pod["metadata"]["namespace"], wanted["name"], optional=wanted.get("optional", False)
    )
    return {f"{source.get('prefix', '')}{key}": value.decode() for key, value in data.items()}


async def _value_from(pod: Object, source: Object, sources: Sources) -> str | None:
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"])
    for ref, kind in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if ref in source:
            return await _key(pod, kind, source[ref], sources)
    raise ValueError(f"the process kubelet does not know env.valueFrom.{next(iter(source))}")


async def _key(pod: Object, kind: str, ref: Object, sources: Sources) -> str | None:
    optional = ref.get("optional", False)
    data = await sources.data(kind, pod["metadata"]["namespace"], ref["name"], optional=optional)
    if ref["key"] in data:
        return data[ref["key"]].decode()
    if optional:
        return None
    raise MissingError(f"{kind.removesuffix('s')} {ref['name']!r} has no key {ref['key']!r}")
