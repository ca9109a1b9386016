"""`kubectl tidegate approve`, `reject`, `pause`, `resume` and `drill` on the real API server.

ann may approve, eve may edit policies and proposals, the rules are those of the chart.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.stack import Stack
from tests.kubectl_world import BOUND, KEPT, LADDER, degraded, policy, proposal, seen
from tests.stack.cluster import ROOT
from tests.stack.kubectl_world import Plugin, install, serve
from tests.waiting import eventually
from tidegate.api import PartitionProposal, Reason
from tidegate.cli.kubectl import deciding

NAME = proposal().metadata.name
LIVE_ONLY = {"name": "OffsetResetLatest", "blocking": True, "method": "Live", "message": "records may be skipped"}
WARNS = {"name": "MinIsrBelowTwo", "blocking": False, "message": "one broker holds the only copy"}
BLOCKS = {"name": "KeyOrdering", "blocking": True, "message": "records of one key may overtake one another"}
EDITS = "get,list,watch,create,update,patch,delete"


@pytest.fixture(scope="module")
def folder(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    serve(stack)
    stack.kubectl("create", "namespace", "tidegate-system", check=False)
    templates = ("-s", "templates/rbac.yaml", "-s", "templates/approval.yaml")
    stack.apply(stack.helm("template", "tidegate", ROOT / "charts" / "tidegate", "-n", "tidegate-system", *templates))
    return install(tmp_path_factory.mktemp("plugin") / "bin")


@pytest.fixture
def plugin(stack: Stack, folder: Path, namespace: str) -> Plugin:
    """A namespace with a policy and its proposal, where ann and eve have their rights and the rules are in force."""
    plugin = Plugin(stack, folder, namespace)
    space = ("-n", namespace)
    resources = "--resource=lagpolicies.tidegate.dev,partitionproposals.tidegate.dev"
    stack.kubectl("create", "rolebinding", "ann", "--clusterrole=tidegate-approver", "--user=ann", *space)
    stack.kubectl("create", "role", "edits", f"--verb={EDITS}", resources, *space)
    stack.kubectl("create", "rolebinding", "eve", "--role=edits", "--user=eve", *space)
    plugin.put(seen(policy(), BOUND))
    plugin.put(proposal(status={"hazards": [WARNS, BLOCKS, LIVE_ONLY], "unacknowledged": []}))
    approve = ("auth", "can-i", "approve", "partitionproposals.tidegate.dev", "--as=ann", *space)
    eventually(lambda: stack.kubectl(*approve, check=False).startswith("yes"))
    eventually(lambda: "may not set spec.decision" in _tried(plugin, "eve"), 120)
    return plugin


def _tried(plugin: Plugin, user: str) -> str:
    """What the API server would say, where nothing comes of it while the rules are not in force yet."""
    patch = json.dumps({"spec": {"decision": "Reject"}})
    words = ("patch", "pprop", NAME, "-n", plugin.namespace, f"--as={user}", "--dry-run=server", "--type=merge")
    return plugin.stack.kubectl(*words, "-p", patch, check=False)


def read(plugin: Plugin) -> PartitionProposal:
    return PartitionProposal.parse(
        json.loads(plugin.stack.kubectl("get", "pprop", NAME, "-n", plugin.namespace, "-o", "json"))
    )


def tell(plugin: Plugin, status: dict[str, Any]) -> None:
    """What Tidegate writes meanwhile."""
    patch = json.dumps({"status": status})
    where = ("pprop", NAME, "-n", plugin.namespace, "--subresource=status", "--type=merge", "-p", patch)
    plugin.stack.kubectl("patch", *where)


# the case, and the question


def test_an_approver_sees_the_case_acknowledges_what_blocks_and_approves(plugin: Plugin):
    out = plugin("approve", NAME, "--as", "ann", input="y\ny\ny\n", columns=120)
    assert "points.deduct: 6 to 24 partitions. It cannot be undone" in out
    assert "1,100/s arrive, 6 replicas can do 300/s" in out
    assert "24 replicas needed with head room, 6 can work" in " ".join(out.split())
    assert "points-service (Classic, 6 members" in out
    blocks = [line.split()[0] for line in out.splitlines() if " blocks: " in line or " warns: " in line]
    assert blocks == ["KeyOrdering", "OffsetResetLatest", "MinIsrBelowTwo"]
    assert f"{NAME} is approved: Tidegate carries it out now" in out
    decided = read(plugin)
    assert (decided.spec.decision, decided.spec.method) == ("Approve", "Live")
    assert set(decided.spec.acknowledge) == {"KeyOrdering", "OffsetResetLatest"}


@pytest.mark.parametrize("answers", ["n\n", "y\nn\n", "y\ny\nn\n", "y\n", ""], ids=repr)
def test_without_every_yes_nothing_is_decided(plugin: Plugin, answers: str):
    assert plugin.run("approve", NAME, "-n", plugin.namespace, "--as", "ann", input=answers).code == 1
    assert read(plugin).spec.decision == "Pending"


def test_the_other_method_has_its_own_hazards_and_is_written(plugin: Plugin):
    out = plugin("approve", NAME, "--as", "ann", "--method", "PausedGroup", "--acknowledge", "KeyOrdering", "--yes")
    assert "the group stops for about 20s" in " ".join(out.split())
    assert "OffsetResetLatest" not in out
    decided = read(plugin).spec
    assert (decided.decision, decided.method, list(decided.acknowledge)) == ("Approve", "PausedGroup", ["KeyOrdering"])


def test_yes_acknowledges_nothing(plugin: Plugin):
    told = plugin.refused(1, "approve", NAME, "--as", "ann", "--yes", "--acknowledge", "KeyOrdering")
    assert told.endswith("what blocks must be acknowledged by name: --acknowledge OffsetResetLatest\n")
    assert read(plugin).spec.decision == "Pending"


def test_a_rejection_needs_one_yes(plugin: Plugin):
    assert f"{NAME} is rejected" in plugin("reject", NAME, "--as", "ann", input="y\n")
    assert read(plugin).spec.decision == "Reject"


def test_programs_get_what_was_written(plugin: Plugin):
    written = json.loads(plugin("reject", NAME, "--as", "ann", "--yes", "-o", "json"))
    assert written["spec"]["decision"] == "Reject"


# rights


def test_a_missing_right_is_named_before_the_question(plugin: Plugin):
    for verb in ("approve", "reject"):
        told = plugin.refused(3, verb, NAME, "--as", "eve", input="y\ny\ny\n")
        assert told.startswith("error: eve may not set spec.decision")
        assert "the verb approve on partitionproposals.tidegate.dev" in told
        assert "ClusterRole tidegate-approver" in told
    assert "user zoe may not get partitionproposals" in plugin.refused(3, "approve", NAME, "--as", "zoe")
    assert read(plugin).spec.decision == "Pending"


# what became stale


def test_what_is_decided_is_told_as_it_stands(plugin: Plugin):
    plugin("reject", NAME, "--as", "ann", "--yes")
    assert f"{NAME} is decided already: Reject" in plugin.refused(1, "approve", NAME, "--as", "ann", "--yes")


def test_what_is_closed_is_told_with_its_end(plugin: Plugin):
    ended = {"type": "Expired", "status": "True", "reason": "Superseded", "message": "the topic has 24 partitions"}
    tell(plugin, {"conditions": [ended | {"lastTransitionTime": "2026-01-02T03:04:05Z"}]})
    told = plugin.refused(1, "approve", NAME, "--as", "ann", "--yes")
    assert told == f"error: {NAME} is closed: Superseded: the topic has 24 partitions\n"


def test_what_the_broker_would_refuse_cannot_be_approved(plugin: Plugin):
    refused = {"type": "Validated", "status": "False", "reason": "RefusedByBroker", "message": "an ACL is missing"}
    tell(plugin, {"conditions": [refused | {"lastTransitionTime": "2026-01-02T03:04:05Z"}]})
    assert "spec.decision: Approve must wait until" in plugin.refused(1, "approve", NAME, "--as", "ann", "--yes")


def test_a_name_that_is_nearly_right_is_helped(plugin: Plugin):
    assert f"there is {NAME}" in plugin.refused(1, "approve", NAME[:-2], "--as", "ann")


def meanwhile(plugin: Plugin, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """While the person reads, something happens."""
    monkeypatch.setattr(deciding, "_asked", lambda *_: happens())


def test_of_two_who_approve_at_once_one_is_told_of_the_other(plugin: Plugin, monkeypatch: pytest.MonkeyPatch):
    meanwhile(plugin, monkeypatch, lambda: threading_run(lambda: plugin_reject(plugin)))
    told = plugin.refused(1, "approve", NAME, "--as", "ann", input="y\ny\n")
    assert "it has changed while you read it, and nothing was decided: Reject" in told
    assert read(plugin).spec.decision == "Reject"


def test_a_hazard_that_is_found_while_one_reads_stops_the_approval(plugin: Plugin, monkeypatch: pytest.MonkeyPatch):
    more = {"name": "UnderReplicated", "blocking": True, "message": "a broker is down"}
    meanwhile(plugin, monkeypatch, lambda: tell(plugin, {"hazards": [BLOCKS, LIVE_ONLY, WARNS, more]}))
    assert "nothing was decided" in plugin.refused(1, "approve", NAME, "--as", "ann", input="y\ny\n")
    assert read(plugin).spec.decision == "Pending"


def test_what_tidegate_writes_meanwhile_without_news_does_not_get_in_the_way(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
):
    meanwhile(plugin, monkeypatch, lambda: tell(plugin, {"unacknowledged": ["KeyOrdering"]}))
    assert "is approved" in plugin("approve", NAME, "--as", "ann", input="y\ny\n")


def plugin_reject(plugin: Plugin) -> None:
    patch = json.dumps({"spec": {"decision": "Reject"}})
    plugin.stack.kubectl("patch", "pprop", NAME, "-n", plugin.namespace, "--as=ann", "--type=merge", "-p", patch)


def threading_run(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


# pause, resume, drill


def annotations(plugin: Plugin, name: str = "points") -> dict[str, str]:
    found = json.loads(plugin.stack.kubectl("get", "lagp", name, "-n", plugin.namespace, "-o", "json"))
    return {key: text for key, text in found["metadata"].get("annotations", {}).items() if "tidegate.dev" in key}


def test_pause_and_resume_set_and_remove_the_annotation(plugin: Plugin):
    out = plugin("pause", "points", "--as", "eve", "--wait", "0")
    assert f"kubectl tidegate resume points -n {plugin.namespace}" in out
    assert annotations(plugin) == {"tidegate.dev/paused": "true"}
    assert "points is paused already" in plugin("pause", "points", "--wait", "0")
    assert "a person paused it by the annotation" in plugin("explain", "points")
    assert "points goes on" in plugin("resume", "points", "--as", "eve", "--wait", "0")
    assert annotations(plugin) == {}
    assert "points is not paused" in plugin("resume", "points", "--wait", "0")


def test_all_names_are_looked_up_before_one_is_paused(plugin: Plugin):
    assert "no LagPolicy mails" in plugin.refused(1, "pause", "points", "mails")
    assert annotations(plugin) == {}
    plugin.put(seen(policy("mails")))
    plugin("pause", "points", "mails", "--wait", "0")
    assert annotations(plugin) == annotations(plugin, "mails") == {"tidegate.dev/paused": "true"}


def test_a_policy_that_is_paused_by_its_spec_stays_so(plugin: Plugin):
    plugin.put(seen(policy("mails", mode="Paused"), KEPT._replace(reason=Reason.PAUSED)))
    assert "--type=merge" in plugin.refused(1, "resume", "mails", "--wait", "0")


def test_that_tidegate_obeys_is_seen_in_the_status_or_said_to_be_missing(plugin: Plugin):
    plugin.put(seen(policy("mails"), KEPT._replace(reason=Reason.PAUSED)))
    assert "Tidegate has taken note" in plugin("pause", "mails", "--wait", "60")
    told = plugin.run("pause", "points", "-n", plugin.namespace, "--wait", "1")
    assert (told.code, "Tidegate has not taken note within 1s" in told.err) == (0, True)


def test_a_missing_right_to_pause_is_named(plugin: Plugin):
    assert "user ann may not" in plugin.refused(3, "pause", "points", "--as", "ann")


def test_a_drill_holds_a_level_for_a_while_and_can_be_ended(plugin: Plugin):
    plugin.put(degraded(policy("ladder", degradation=LADDER), KEPT))
    assert plugin.run("drill", "ladder", "--level", "2", "--for", "10m", "-n", plugin.namespace, input="n\n").code == 1
    assert annotations(plugin, "ladder") == {}
    out = plugin("drill", "ladder", "--level", "2", "--for", "10m", "--wait", "0", input="y\n")
    assert "NoReceipts         email-receipts is off" in out
    assert annotations(plugin, "ladder")["tidegate.dev/force-level"].startswith("2; until=20")
    assert "a person holds the ladder at level 2" in plugin("explain", "ladder")
    assert "decides again" in plugin("drill", "ladder", "--end", "--wait", "0")
    assert annotations(plugin, "ladder") == {}
    assert "nobody holds the ladder" in plugin("drill", "ladder", "--end")


def test_a_drill_that_makes_no_sense_is_refused(plugin: Plugin):
    plugin.put(degraded(policy("ladder", degradation=LADDER), KEPT))
    space = ("-n", plugin.namespace)
    assert "1 NoRecommendations, 2 NoReceipts" in plugin.refused(1, "drill", "ladder", "--level", "3", "--for", "1m")
    assert "points has no spec.degradation" in plugin.refused(1, "drill", "points", "--level", "1", "--for", "1m")
    for words in (("--level", "1"), ("--for", "1m"), (), ("--end", "--level", "1"), ("--level", "1", "--for", "soon")):
        assert plugin.run("drill", "ladder", *words, *space).code == 2
