"""Flags on the real API server: read, switched if they are still as they were seen, and nothing else touched."""

import asyncio
import json
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient

from demo.stack import Stack
from tests.stack.cluster import Body, Space, client_of, grant, install
from tests.stack.featureflags import FEATURE_FLAGS, feature_flag
from tests.stack.flags_world import (
    DOCUMENT,
    FLAGS,
    KINDS,
    OFF,
    TEXT,
    body_of,
    flags_map,
    objected,
    read,
    sink,
    switched,
)
from tidegate.api import FlagsKind, Reason
from tidegate.cluster.flags import Seen, featureflag
from tidegate.engine.observation import Objection


@pytest.fixture(scope="module", autouse=True)
def feature_flags(stack: Stack) -> None:
    install(stack, FEATURE_FLAGS)


def without_version(body: Body) -> Body:
    moving = ("resourceVersion", "generation", "managedFields")
    return {**body, "metadata": {key: value for key, value in body["metadata"].items() if key not in moving}}


def owned(space: Space, kind: str, manager: str) -> Body:
    """The fields that a manager owns."""
    fields = space.get(kind, "flags")["metadata"]["managedFields"]
    return next((entry["fieldsV1"] for entry in fields if entry["manager"] == manager), {})


# Switching


@pytest.mark.parametrize("kind", KINDS)
async def test_flags_are_switched_and_restored_and_all_else_stays(api: ApiClient, space: Space, kind: FlagsKind):
    space.apply(body_of(kind))
    before = space.get(kind, "flags")
    found = sink(api, space, kind)

    after = await switched(found)
    assert {flag: after.document.variants[flag] for flag in OFF} == OFF
    assert await read(found) == after

    await switched(found, dict.fromkeys(OFF, "on"))
    restored = space.get(kind, "flags")
    assert without_version(restored) == without_version(before)
    assert restored["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]


async def test_a_config_map_changes_at_those_variants_alone(api: ApiClient, space: Space):
    space.apply(flags_map())
    before = space.get("configmap", "flags")
    assert before["data"]["flags.json"] == TEXT
    await switched(sink(api, space))
    after = space.get("configmap", "flags")
    changed = after["data"].pop("flags.json")
    assert changed.replace('"defaultVariant": "off"', '"defaultVariant": "on"') == TEXT
    assert changed.count('"defaultVariant": "off"') == len(OFF)
    del before["data"]["flags.json"]
    assert without_version(after) == without_version(before)


async def test_a_feature_flag_changes_at_those_variants_alone(api: ApiClient, space: Space):
    space.apply(feature_flag("flags", DOCUMENT))
    await switched(sink(api, space, FlagsKind.FEATURE_FLAG))
    expected: Any = json.loads(json.dumps(DOCUMENT))
    for flag, variant in OFF.items():
        expected["flags"][flag]["defaultVariant"] = variant
    assert space.get("featureflag", "flags")["spec"]["flagSpec"] == expected


async def test_what_is_written_is_ours_and_the_rest_stays_with_its_owner(api: ApiClient, space: Space):
    body = json.dumps(flags_map())
    space.kubectl("apply", "--server-side", "--field-manager=gitops", "-f", "-", input=body)
    theirs = owned(space, "configmap", "gitops")
    await switched(sink(api, space))
    assert owned(space, "configmap", "tidegate") == {"f:data": {"f:flags.json": theirs["f:data"].pop("f:flags.json")}}
    assert owned(space, "configmap", "gitops") == theirs


async def test_another_key_is_read_where_the_policy_names_it(api: ApiClient, space: Space):
    space.apply(flags_map())
    await switched(sink(api, space, key="other.json"))
    data = space.get("configmap", "flags")["data"]
    assert data["flags.json"] == TEXT
    assert data["other.json"] != TEXT


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_to_switch_writes_nothing(api: ApiClient, space: Space, kind: FlagsKind):
    space.apply(body_of(kind))
    before = space.get(kind, "flags")
    await switched(sink(api, space, kind), {})
    assert space.get(kind, "flags") == before


# Somebody else writes at the same time


def edit(space: Space, kind: FlagsKind) -> None:
    """Somebody else turns another flag off."""
    if kind is FlagsKind.FEATURE_FLAG:
        patch: Body = {"spec": {"flagSpec": {"flags": {"search": {"defaultVariant": "none"}}}}}
    else:
        patch = {"data": {"flags.json": TEXT.replace('"defaultVariant": "full"', '"defaultVariant": "none"')}}
    space.kubectl("patch", str(kind), "flags", "--type=merge", "-p", json.dumps(patch))


@pytest.mark.parametrize("kind", KINDS)
async def test_flags_that_somebody_has_just_changed_are_not_written(api: ApiClient, space: Space, kind: FlagsKind):
    space.apply(body_of(kind))
    found = sink(api, space, kind)
    seen = await read(found)
    edit(space, kind)
    edited = space.get(kind, "flags")

    refused = await found.write(seen, OFF)

    assert isinstance(refused, Objection)
    assert refused.reason is Reason.FLAGS_NOT_WRITTEN
    assert "was changed by somebody else at the same moment: it is read again" in refused.message
    assert space.get(kind, "flags") == edited
    after = await switched(found)
    assert after.document.variants == {**dict.fromkeys(FLAGS, "on"), **OFF, "search": "none"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_label_that_somebody_has_just_set_does_not_stop_us(api: ApiClient, space: Space, kind: FlagsKind):
    space.apply(body_of(kind))
    found = sink(api, space, kind)
    seen = await read(found)
    space.kubectl("label", str(kind), "flags", "touched=true")
    after = await found.write(seen, OFF)
    assert isinstance(after, Seen)
    assert {flag: after.document.variants[flag] for flag in OFF} == OFF
    assert space.get(kind, "flags")["metadata"]["labels"]["touched"] == "true"


@pytest.mark.parametrize("kind", KINDS)
async def test_flags_that_were_made_anew_are_not_written_by_an_old_look(api: ApiClient, space: Space, kind: FlagsKind):
    space.apply(body_of(kind))
    found = sink(api, space, kind)
    seen = await read(found)
    space.kubectl("delete", str(kind), "flags")
    space.apply(body_of(kind))
    refused = await found.write(seen, OFF)
    assert isinstance(refused, Objection)
    assert refused.reason is Reason.FLAGS_NOT_WRITTEN


@pytest.mark.parametrize("kind", KINDS)
async def test_of_writers_that_race_one_wins_and_the_others_know(api: ApiClient, space: Space, kind: FlagsKind):
    space.apply(body_of(kind))
    found = sink(api, space, kind)
    seen = await read(found)
    wishes = [{"recommendations": "off"}, {"search": "none"}, {"a.b/c~d": "off"}, {"search": "none", **OFF}]
    outcomes = await asyncio.gather(*(found.write(seen, wish) for wish in wishes))
    [(winner, wish)] = [(each, wish) for each, wish in zip(outcomes, wishes, strict=True) if isinstance(each, Seen)]
    assert winner.document.variants == {**seen.document.variants, **wish}
    assert await read(found) == winner


# What cannot be read or switched


@pytest.mark.parametrize("kind", KINDS)
async def test_flags_that_do_not_exist(api: ApiClient, space: Space, kind: FlagsKind):
    found = await objected(sink(api, space, kind))
    assert found.reason is Reason.FLAGS_NOT_FOUND
    assert found.message.startswith(f"{kind} flags does not exist in namespace {space.name}: create it")


@pytest.mark.parametrize("kind", KINDS)
async def test_flags_that_are_gone_when_they_are_to_be_written(api: ApiClient, space: Space, kind: FlagsKind):
    space.apply(body_of(kind))
    found = sink(api, space, kind)
    seen = await read(found)
    space.kubectl("delete", str(kind), "flags")
    gone = await found.write(seen, OFF)
    assert isinstance(gone, Objection)
    assert gone.reason is Reason.FLAGS_NOT_FOUND


async def test_a_key_that_is_missing_or_binary(api: ApiClient, space: Space):
    space.apply(flags_map())
    missing = await objected(sink(api, space, key="flags.yaml"))
    assert missing.reason is Reason.FLAGS_NOT_FOUND
    where = f"ConfigMap {space.name}/flags"
    assert missing.message == f"{where} has no key flags.yaml; its keys are: flags.json, other.json"
    binary = await objected(sink(api, space, key="logo"))
    assert binary == Objection(
        Reason.FLAGS_INVALID, f"logo of {where} is binary data: put the document there as text, under `data`"
    )


async def test_what_is_wrong_in_a_document_is_told_with_its_place(api: ApiClient, space: Space):
    space.apply(flags_map('{"flags": {"a": {"state": "ENABLED"}}}'))
    found = await objected(sink(api, space))
    assert found.reason is Reason.FLAGS_INVALID
    assert found.message.startswith(f'flags.json of ConfigMap {space.name}/flags: flag "a": variants is missing')


async def test_a_feature_flag_without_flags(api: ApiClient, space: Space):
    space.apply({**feature_flag("flags", {}), "spec": {}})
    found = await objected(sink(api, space, FlagsKind.FEATURE_FLAG))
    assert found.reason is Reason.FLAGS_INVALID
    assert found.message.startswith(f"FeatureFlag {space.name}/flags: flags is missing")


async def test_an_immutable_config_map_is_read_but_not_written(api: ApiClient, space: Space):
    space.apply(flags_map(immutable=True))
    seen = await read(sink(api, space))
    assert seen.fixed is not None
    assert seen.fixed.reason is Reason.FLAGS_INVALID
    assert "is immutable, so its flags cannot be switched: create it anew" in seen.fixed.message
    assert await sink(api, space).write(seen, OFF) == seen.fixed
    assert space.get("configmap", "flags")["data"]["flags.json"] == TEXT


async def test_a_config_map_that_has_just_been_made_immutable(api: ApiClient, space: Space):
    space.apply(flags_map())
    seen = await read(sink(api, space))
    space.kubectl("patch", "configmap", "flags", "--type=merge", "-p", '{"immutable": true}')
    refused = await sink(api, space).write(seen, OFF)
    assert isinstance(refused, Objection)
    assert "is immutable" in refused.message


@pytest.mark.parametrize(("what", "value"), [("GROUP", "absent.test"), ("VERSION", "v9")])
async def test_a_cluster_without_feature_flags(
    api: ApiClient, space: Space, monkeypatch: pytest.MonkeyPatch, what: str, value: str
):
    monkeypatch.setattr(featureflag, what, value)
    found = await objected(sink(api, space, FlagsKind.FEATURE_FLAG))
    assert found.reason is Reason.SINK_UNAVAILABLE
    assert "install the OpenFeature Operator, or use a ConfigMap" in found.message


@pytest.mark.parametrize("kind", KINDS)
async def test_missing_rights_are_named(stack: Stack, space: Space, kind: FlagsKind):
    space.apply(body_of(kind))
    group, plural = ("core.openfeature.dev", "featureflags") if kind is FlagsKind.FEATURE_FLAG else ("", "configmaps")
    grant(space, "reader", {"apiGroups": [group], "resources": [plural], "verbs": ["get"]})
    async with client_of(stack, space.name, "reader") as reader:
        found = sink(reader, space, kind)
        refused = await found.write(await read(found), OFF)
    async with client_of(stack, space.name, "default") as nobody:
        unreadable = await objected(sink(nobody, space, kind))
    assert isinstance(refused, Objection)
    assert refused.reason is unreadable.reason is Reason.FORBIDDEN
    assert f"may not patch {plural} in namespace {space.name}" in refused.message
    assert f"may not get {plural} in namespace {space.name}" in unreadable.message


async def test_a_change_that_the_server_finds_invalid_is_told_in_its_words(api: ApiClient, space: Space):
    space.apply(feature_flag("flags", DOCUMENT))
    found = sink(api, space, FlagsKind.FEATURE_FLAG)
    refused = await found.write(await read(found), {"no-such-flag": "off"})
    assert isinstance(refused, Objection)
    assert refused.reason is Reason.FLAGS_NOT_WRITTEN
    assert "cannot switch flags in FeatureFlag" in refused.message
    assert "spec.flagSpec.flags.no-such-flag" in refused.message
