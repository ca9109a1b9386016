"""What the tests of the sinks share: a flagd document in a ConfigMap and in a FeatureFlag, read and switched."""

import json
from collections.abc import Mapping
from typing import Any

from kubernetes.aio.client import ApiClient

from tests.stack.cluster import Body, Space
from tests.stack.featureflags import feature_flag
from tidegate.api import FlagsKind, FlagsRef
from tidegate.cluster.flags import FlagSink, Place, Seen, open_sink
from tidegate.engine.observation import Objection

ON = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
FLAGS = {
    "recommendations": {**ON, "metadata": {"team": "points", "level": 1.5}},
    "a.b/c~d": ON,
    "search": {"state": "ENABLED", "variants": {"full": {"n": 9}, "none": {}}, "defaultVariant": "full"},
    "beta": {**ON, "targeting": {"if": [{"==": [{"var": "plan"}, "premium"]}, "on", "off"]}},
}
DOCUMENT = {"flags": FLAGS, "metadata": {"flagSetId": "points"}}
TEXT = json.dumps(DOCUMENT, indent=1).replace("\n", "\r\n").replace("points", "p\\u006fints") + "\n \n"
KINDS = list(FlagsKind)
OFF = {"recommendations": "off", "a.b/c~d": "off"}


def flags_map(text: str = TEXT, **more: Any) -> Body:
    meta = {"name": "flags", "labels": {"app": "points"}, "annotations": {"note": "keep"}}
    data = {"flags.json": text, "other.json": TEXT}
    binary = {"logo": "AAEC/w=="}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data, "binaryData": binary, **more}


def body_of(kind: FlagsKind) -> Body:
    return flags_map() if kind is FlagsKind.CONFIG_MAP else feature_flag("flags", DOCUMENT)


def ref(kind: FlagsKind = FlagsKind.CONFIG_MAP, **fields: Any) -> FlagsRef:
    return FlagsRef(kind=kind, **{"name": "flags", **fields})


def sink(api: ApiClient, space: Space, kind: FlagsKind = FlagsKind.CONFIG_MAP, **fields: Any) -> FlagSink:
    return open_sink(api, Place.of(space.name, ref(kind, **fields)))


async def read(found: FlagSink) -> Seen:
    seen = await found.read()
    assert isinstance(seen, Seen), seen
    return seen


async def switched(found: FlagSink, variants: Mapping[str, str] = OFF) -> Seen:
    seen = await found.write(await read(found), variants)
    assert isinstance(seen, Seen), seen
    return seen


async def objected(found: FlagSink) -> Objection:
    seen = await found.read()
    assert isinstance(seen, Objection), seen
    return seen
