"""PartitionProposals on the real API server: who may decide, what a decision must say, and what stays as it is.

ann may approve, eve may edit policies and proposals, TIDEGATE is the operator with the rights that the chart gives it.
"""

import json
import re
import secrets
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from demo.stack import Stack, StackError
from tests.stack.cluster import OPERATOR, ROOT, install_rights
from tests.stack.mistakes import POLICY, PROPOSAL, with_
from tests.waiting import eventually

Body = dict[str, Any]
NAME = PROPOSAL["metadata"]["name"]
TIDEGATE = OPERATOR
EDITOR: Body = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "tidegate-test-editor"},
    "rules": [
        {
            "apiGroups": ["tidegate.dev"],
            "resources": ["lagpolicies", "partitionproposals"],
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"],
        }
    ],
}
ACKNOWLEDGED: Body = {"decision": "Approve", "acknowledge": ["KeyOrdering", "OffsetResetLatest"]}


def condition(kind: str, status: str, reason: str) -> Body:
    told = {"type": kind, "status": status, "reason": reason, "message": "in a sentence"}
    return told | {"lastTransitionTime": "2026-01-02T03:04:05Z"}


def hazard(name: str, blocking: bool = True, **more: str) -> Body:
    return {"name": name, "blocking": blocking, "message": f"what {name} breaks"} | more


WOULD_SUCCEED = condition("Validated", "True", "WouldSucceed")
FOUND: Body = {
    "hazards": [
        hazard("KeyOrdering"),
        hazard("OffsetResetLatest", method="Live"),
        hazard("MinIsrBelowTwo", blocking=False),
    ],
    "unacknowledged": ["KeyOrdering", "OffsetResetLatest"],
    "state": "AwaitingDecision",
    "conditions": [WOULD_SUCCEED, condition("Approved", "Unknown", "AwaitingDecision")],
}


class Desk:
    """One proposal in a namespace, and those who have to do with it."""

    def __init__(self, stack: Stack, namespace: str) -> None:
        self.stack = stack
        self.namespace = namespace

    def kubectl(self, user: str, *arguments: str, **options: Any) -> str:
        """kubectl as a user."""
        who = ("--as", user) if user else ()
        return self.stack.kubectl(*who, "-n", self.namespace, *arguments, **options)

    def create(self, user: str, body: Body, *options: str) -> str:
        return self.kubectl(user, "create", "-f", "-", *options, input=json.dumps(body))

    def edit(self, user: str, spec: Body) -> str:
        return self.kubectl(user, "patch", "pprop", NAME, "--type=merge", "-p", json.dumps({"spec": spec}))

    def tell(self, status: Body) -> str:
        """What Tidegate writes into the status (by an administrator: kubectl also reads it first)."""
        patch = json.dumps({"status": status})
        return self.kubectl("", "patch", "pprop", NAME, "--subresource=status", "--type=merge", "-p", patch)

    def read(self) -> Body:
        read: Body = json.loads(self.kubectl("", "get", "pprop", NAME, "-o", "json"))
        return read

    def refusal(self, user: str, spec: Body) -> str:
        """In which words an edit is refused; it changes nothing."""
        before = self.read()["spec"]
        with pytest.raises(StackError) as refused:
            self.edit(user, spec)
        assert self.read()["spec"] == before
        return str(refused.value)


@pytest.fixture(scope="module", autouse=True)
def rules_in_force(stack: Stack) -> None:
    install_rights(stack)
    stack.apply(EDITOR)


@pytest.fixture(scope="module")
def office(stack: Stack, rules_in_force: None) -> Iterator[Desk]:
    """A namespace where ann and eve have their rights, and the chart's admission policies act."""
    desk = Desk(stack, f"proposals-{secrets.token_hex(3)}")
    stack.kubectl("create", "namespace", desk.namespace)
    desk.kubectl("", "create", "rolebinding", "ann", "--clusterrole=tidegate-approver", "--user=ann")
    desk.kubectl("", "create", "rolebinding", "eve", f"--clusterrole={EDITOR['metadata']['name']}", "--user=eve")

    def forbidden(body: Body) -> bool:
        try:
            desk.create("eve", body, "--dry-run=server")
        except StackError as error:
            return "ValidatingAdmissionPolicy" in str(error)
        return False

    apply_mode = with_(POLICY, "spec.partitions.mode", "Apply")
    eventually(lambda: forbidden(apply_mode) and forbidden(PROPOSAL), every=0.5)
    yield desk
    stack.kubectl("delete", "namespace", desk.namespace, "--wait=false")


@pytest.fixture
def empty(office: Desk) -> Iterator[Desk]:
    """Nothing is proposed yet."""
    yield office
    office.kubectl("", "delete", "pprop,lagp", "--all")


@pytest.fixture
def proposed(empty: Desk) -> Desk:
    """A proposal of which no hazard is known yet."""
    empty.create(TIDEGATE, PROPOSAL)
    return empty


@pytest.fixture
def desk(proposed: Desk) -> Desk:
    """A proposal whose hazards were found: KeyOrdering blocks, OffsetResetLatest blocks Live, one only warns."""
    proposed.tell(FOUND)
    return proposed


# What is shown


def test_kubectl_explain_teaches_whoever_must_decide(desk: Desk):
    def told(path: str) -> str:
        return " ".join(desk.kubectl("", "explain", f"pprop.{path}").split())

    eventually(lambda: "the verb approve on partitionproposals" in told("spec.decision"))
    assert "PausedGroup: the target is scaled to zero" in told("spec.method")
    assert "Names of blocking hazards that are accepted" in told("spec.acknowledge")
    assert "What was found, what it breaks, and what to do about it" in told("status.hazards")
    assert "How long the group is predicted to stop" in told("spec.evidence")


def test_kubectl_get_pprop_answers_at_three_in_the_morning(desk: Desk):
    header, row = desk.kubectl("ann", "get", "pprop").splitlines()
    assert " ".join(header.split()) == "NAME TOPIC FROM TO METHOD DECISION STATE UNACKNOWLEDGED AGE"
    shown = f'{NAME} points.deduct 6 24 Live Pending AwaitingDecision ["KeyOrdering","OffsetResetLatest"] '
    assert " ".join(row.split()).startswith(shown)
    assert "2030-01-02T03:04:05Z" in desk.kubectl("ann", "get", "pprop", "-o", "wide")


# What Tidegate may do


def test_tidegate_makes_owns_tells_and_takes_away_a_proposal(empty: Desk):
    empty.create("eve", POLICY)
    uid = json.loads(empty.kubectl("", "get", "lagp", "points", "-o", "json"))["metadata"]["uid"]
    owner = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "LagPolicy", "name": "points", "uid": uid}
    owners = [owner | {"controller": True, "blockOwnerDeletion": True}]
    empty.create(TIDEGATE, with_(with_(PROPOSAL, "metadata.ownerReferences", owners), "spec.method", "PausedGroup"))
    assert empty.kubectl(TIDEGATE, "auth", "can-i", "patch", "pprop", "--subresource=status").strip() == "yes"
    finalizer = '{"metadata": {"finalizers": ["tidegate.dev/execution"]}}'
    empty.kubectl(TIDEGATE, "patch", "pprop", NAME, "--type=merge", "-p", finalizer)
    empty.kubectl(TIDEGATE, "delete", "pprop", NAME, "--wait=false")
    assert empty.read()["metadata"]["deletionTimestamp"]
    empty.tell({"execution": {"step": "Paused", "since": "2026-01-02T03:04:05Z", "replicas": 6}})
    empty.kubectl(TIDEGATE, "patch", "pprop", NAME, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    assert eventually(lambda: not empty.kubectl("", "get", "pprop", "-o", "name") and "gone") == "gone"


def test_tidegate_itself_may_not_decide(desk: Desk):
    assert f"{TIDEGATE} may not set spec.decision" in desk.refusal(TIDEGATE, {"decision": "Reject"})
    assert "may not set spec.decision and spec.acknowledge" in desk.refusal(TIDEGATE, ACKNOWLEDGED)


def test_nobody_else_makes_a_proposal(empty: Desk):
    assert empty.kubectl("eve", "auth", "can-i", "create", "partitionproposals.tidegate.dev").strip() == "yes"
    with pytest.raises(StackError, match="eve may not make partition proposals: Tidegate makes them") as refused:
        empty.create("eve", PROPOSAL)
    assert "has the verb propose on partitionproposals.tidegate.dev" in str(refused.value)


# Who may decide


def test_kubectl_auth_tells_who_may_approve(desk: Desk):
    ask = ("auth", "can-i", "approve", "partitionproposals.tidegate.dev")
    assert desk.kubectl("ann", *ask).strip() == "yes"
    assert desk.kubectl("eve", *ask, check=False).splitlines()[0].strip() == "no"
    assert desk.kubectl(TIDEGATE, *ask, check=False).splitlines()[0].strip() == "no"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (ACKNOWLEDGED, "eve may not set spec.decision and spec.acknowledge of a partition proposal"),
        ({"decision": "Reject"}, "eve may not set spec.decision of a partition proposal"),
        ({"acknowledge": ["KeyOrdering"]}, "eve may not set spec.acknowledge of a partition proposal"),
        ({"method": "PausedGroup"}, "eve may not set spec.method of a partition proposal"),
    ],
    ids=["approve", "reject", "acknowledge", "method"],
)
def test_who_may_edit_may_not_decide_by_that_and_reads_what_is_missing(desk: Desk, spec: Body, told: str):
    refused = desk.refusal("eve", spec)
    assert told in refused
    assert f"needs the verb approve on partitionproposals.tidegate.dev in namespace {desk.namespace}" in refused
    assert "the ClusterRole tidegate-approver" in refused


def test_who_may_edit_may_do_all_that_decides_nothing(desk: Desk):
    assert "annotated" in desk.kubectl("eve", "annotate", "pprop", NAME, "shop/ticket=4711")
    assert "patched" in desk.edit("eve", {"decision": "Pending", "method": "Live"})


def test_a_stranger_may_not_even_read_it(desk: Desk):
    with pytest.raises(StackError, match='User "mallory" cannot get resource "partitionproposals"'):
        desk.kubectl("mallory", "get", "pprop", NAME)


def test_an_approver_may_not_write_what_tidegate_found(desk: Desk):
    for verb in ("patch", "update"):
        ask = ("auth", "can-i", verb, "partitionproposals.tidegate.dev")
        assert desk.kubectl("ann", *ask).strip() == "yes"
        assert desk.kubectl("ann", *ask, "--subresource=status", check=False).splitlines()[0].strip() == "no"


# What an approval must say


def test_approving_waits_until_the_hazards_are_known(proposed: Desk):
    waiting = "spec.decision: Approve must wait until Tidegate has looked for hazards"
    assert waiting in proposed.refusal("ann", ACKNOWLEDGED)
    proposed.tell({"conditions": [condition("Approved", "Unknown", "AwaitingDecision")]})
    assert waiting in proposed.refusal("ann", ACKNOWLEDGED)
    proposed.tell({"conditions": [condition("Validated", "False", "ConnectionFailed")]})
    assert waiting in proposed.refusal("ann", ACKNOWLEDGED)
    proposed.tell({"conditions": [WOULD_SUCCEED]})
    assert "patched" in proposed.edit("ann", {"decision": "Approve"})


def test_a_rejection_needs_no_knowledge(proposed: Desk):
    assert "patched" in proposed.edit("ann", {"decision": "Reject"})


def test_an_approval_without_acknowledgement_is_refused_by_the_names_of_the_hazards(desk: Desk):
    told = "spec.acknowledge must also name what blocks method"
    refused = desk.refusal("ann", {"decision": "Approve"})
    assert f"{told} Live: KeyOrdering OffsetResetLatest. kubectl describe pprop says" in refused
    assert f"{told} Live: OffsetResetLatest." in desk.refusal(
        "ann", {"decision": "Approve", "acknowledge": ["KeyOrdering", "MinIsrBelowTwo"]}
    )
    paused = {"decision": "Approve", "method": "PausedGroup", "acknowledge": ["OffsetResetLatest"]}
    assert f"{told} PausedGroup: KeyOrdering." in desk.refusal("ann", paused)


@pytest.mark.parametrize(
    "spec",
    [ACKNOWLEDGED, {"decision": "Approve", "method": "PausedGroup", "acknowledge": ["KeyOrdering"]}],
    ids=["Live", "PausedGroup"],
)
def test_an_approval_that_acknowledges_what_blocks_its_method_is_accepted(desk: Desk, spec: Body):
    assert "patched" in desk.edit("ann", spec)
    decided = desk.read()["spec"]
    assert {key: decided[key] for key in spec} == spec


def test_what_only_warns_needs_no_acknowledgement(proposed: Desk):
    proposed.tell({"conditions": [WOULD_SUCCEED], "hazards": [hazard("MinIsrBelowTwo", blocking=False)]})
    assert "patched" in proposed.edit("ann", {"decision": "Approve"})


def test_acknowledging_goes_by_the_names_of_hazards(desk: Desk):
    refused = desk.refusal("ann", {"acknowledge": ["Everything"]})
    assert 'spec.acknowledge[0]: Unsupported value: "Everything": supported values: "KeyOrdering"' in refused
    assert "Duplicate value" in desk.refusal("ann", {"acknowledge": ["KeyOrdering", "KeyOrdering"]})


def test_the_method_is_the_approvers_to_choose_until_it_is_decided(desk: Desk):
    assert "patched" in desk.edit("ann", {"method": "PausedGroup"})
    assert "patched" in desk.edit("ann", {"method": "Live"})
    desk.edit("ann", ACKNOWLEDGED)
    assert "spec.method must stay as it was decided" in desk.refusal("ann", {"method": "PausedGroup"})


def test_kubectl_edit_decides_as_well(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    approve = r"s/decision: Pending/decision: Approve/; s/method: Live/method: PausedGroup/"
    acknowledge = r"s/  acknowledge: \[\]/  acknowledge: [KeyOrdering]/"
    monkeypatch.setenv("KUBE_EDITOR", f"sed -i -e '{approve}' -e '{acknowledge}'")
    assert "edited" in desk.kubectl("ann", "edit", "pprop", NAME)
    spec = desk.read()["spec"]
    assert (spec["decision"], spec["method"], spec["acknowledge"]) == ("Approve", "PausedGroup", ["KeyOrdering"])


# What stays


@pytest.mark.parametrize("made", ["Approve", "Reject"])
def test_a_decision_is_final(desk: Desk, made: str):
    desk.edit("ann", ACKNOWLEDGED | {"decision": made})
    assert "patched (no change)" in desk.edit("ann", {"decision": made})
    for changed in {"Approve", "Reject", "Pending", None} - {made}:
        assert f"spec.decision is final: it is {made}" in desk.refusal("ann", {"decision": changed})


FIXED: dict[str, Any] = {
    "policy": "other",
    "topic": "other",
    "from": 7,
    "to": 48,
    "evidence": {"need": 48},
    "expires": "2031-01-02T03:04:05Z",
}


@pytest.mark.parametrize("field", FIXED)
def test_what_is_proposed_cannot_be_edited_not_even_by_an_approver(desk: Desk, field: str):
    told = f"spec.{field} must stay as Tidegate made it: only decision, acknowledge and method are yours"
    assert told in desk.refusal("ann", {field: FIXED[field]})
    assert told in desk.refusal("ann", ACKNOWLEDGED | {field: FIXED[field]})


def test_every_field_that_is_proposed_is_fixed(desk: Desk):
    assert set(desk.read()["spec"]) == {*FIXED, "decision", "acknowledge", "method"}


def test_more_can_be_acknowledged_after_an_approval_and_nothing_taken_back(desk: Desk):
    desk.edit("ann", ACKNOWLEDGED)
    told = "spec.acknowledge must keep what it had when it was decided"
    assert told in desk.refusal("ann", {"acknowledge": ["KeyOrdering"]})
    more = {"acknowledge": [*ACKNOWLEDGED["acknowledge"], "Streams"]}
    assert "may not set spec.acknowledge" in desk.refusal("eve", more)
    assert "patched" in desk.edit("ann", more)


def test_tidegate_goes_on_telling_what_it_finds_after_the_approval(desk: Desk):
    desk.edit("ann", ACKNOWLEDGED)
    desk.tell({"hazards": [*FOUND["hazards"], hazard("UnderReplicated")], "unacknowledged": ["UnderReplicated"]})
    desk.tell({"conditions": [condition("Validated", "False", "HazardBlocks")]})
    assert "annotated" in desk.kubectl("eve", "annotate", "pprop", NAME, "shop/ticket=4711")
    finalizer = '{"metadata": {"finalizers": ["tidegate.dev/execution"]}}'
    desk.kubectl(TIDEGATE, "patch", "pprop", NAME, "--type=merge", "-p", finalizer)
    desk.kubectl(TIDEGATE, "patch", "pprop", NAME, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    assert [found["name"] for found in desk.read()["status"]["hazards"]][-1] == "UnderReplicated"


@pytest.mark.parametrize("ending", ["Applied", "Failed", "Expired"])
def test_what_is_closed_cannot_be_decided_any_more(desk: Desk, ending: str):
    told = f"spec.decision: too late, this proposal is closed: {ending}"
    desk.tell({"conditions": [WOULD_SUCCEED, condition(ending, "True", ending)]})
    assert told in desk.refusal("ann", ACKNOWLEDGED)
    assert told in desk.refusal("ann", {"decision": "Reject"})
    desk.tell({"conditions": [WOULD_SUCCEED, condition(ending, "False", "Pending")]})
    assert "patched" in desk.edit("ann", {"decision": "Reject"})


def test_what_was_begun_without_a_decision_can_be_rejected_until_the_topic_has_grown(desk: Desk):
    """With spec.partitions.mode: Apply."""
    execution = {"step": "Increased", "since": "2026-01-02T03:04:05Z"}
    desk.tell({"execution": execution})
    told = "spec.decision: too late, the topic has been enlarged"
    assert told in desk.refusal("ann", {"decision": "Reject"})
    assert told in desk.refusal("ann", ACKNOWLEDGED)
    desk.tell({"execution": execution | {"step": "Paused"}})
    method = "spec.method must stay as it is: the increase has begun"
    assert method in desk.refusal("ann", {"method": "PausedGroup"})
    assert "patched" in desk.edit("ann", {"acknowledge": ["KeyOrdering"]})
    assert "patched" in desk.edit("ann", {"decision": "Reject"})


def test_who_may_edit_cannot_let_tidegate_approve_everything_in_advance(empty: Desk):
    empty.create("eve", POLICY)

    def set_(user: str, spec: Body) -> str:
        return empty.kubectl(user, "patch", "lagp", "points", "--type=merge", "-p", json.dumps({"spec": spec}))

    told = "eve may not set spec.partitions with mode Apply, which approves in advance: that needs the verb approve"
    with pytest.raises(StackError, match=told):
        set_("eve", {"partitions": {"mode": "Apply"}})
    assert "patched" in set_("eve", {"partitions": {"mode": "Propose", "max": 48}})
    empty.kubectl("", "create", "rolebinding", "ben-edits", "--clusterrole=tidegate-test-editor", "--user=ben")
    empty.kubectl("", "create", "rolebinding", "ben-approves", "--clusterrole=tidegate-approver", "--user=ben")
    can_i = ("auth", "can-i", "approve", "partitionproposals.tidegate.dev")
    eventually(lambda: empty.kubectl("ben", *can_i, check=False).startswith("yes"))
    assert "patched" in set_("ben", {"partitions": {"mode": "Apply", "keyed": False}})
    with pytest.raises(StackError, match=told):
        set_("eve", {"partitions": {"max": 96}})
    assert "patched" in set_("eve", {"replicas": {"max": 24}})
    assert "patched" in set_("eve", {"partitions": {"mode": "Off"}})


# What docs/partitions.md tells people to type

COMMANDS = [
    line.split("  #")[0] for line in re.findall(r"^ *\$ kubectl (.+)$", (ROOT / "docs/partitions.md").read_text(), re.M)
]


def test_the_page_has_commands_to_decide_with():
    typed = " ".join(COMMANDS)
    assert len(COMMANDS) >= 10
    assert all(word in typed for word in ("get pprop", "describe pprop", '"Approve"', '"Reject"', "edit pprop", "auth"))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.split()[:2]))
def test_a_command_of_the_page_works_as_it_is_printed(desk: Desk, command: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("KUBE_EDITOR", "true")
    typed = shlex.split(command.replace("-n shop", f"-n {desk.namespace}"))
    user = "" if typed[0] in ("apply", "create") else "ann"  # rights are given by an administrator
    told = desk.stack.kubectl(*(("--as", user) if user else ()), *typed)  # StackError where it is refused
    assert "no change" not in told
