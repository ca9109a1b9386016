"""What an edit of a PartitionProposal may do, as CEL rules: the API server checks them, whether Tidegate runs or not.

All judge changes alone (`oldSelf`), so that whatever Tidegate finds after a decision can still be written to the
status, and finalizers to the metadata. The API server must see beforehand that a rule is cheap: so lists are reached by
`has()`, and neither `orValue()` nor `filter()` nor `join()` is used, whose sizes it cannot tell.

Who may decide at all is in the chart, templates/approval.yaml.
"""

from typing import Any

from tidegate.api.hazard import HazardName
from tidegate.api.model import Rule, rules

_CONDITIONS = "has(self.status) && has(self.status.conditions)"
_HAZARDS = "has(self.status) && has(self.status.hazards)"
_ENDINGS = ("Applied", "Failed", "Expired")
_BLOCKS = "h.blocking && (!has(h.method) || h.method == self.spec.method)"
_APPROVED_NOW = "self.spec.decision == 'Approve' && oldSelf.spec.decision != 'Approve'"
_SAME_DECISION = "self.spec.decision == oldSelf.spec.decision"
_NOT_BEGUN = "!has(self.status) || !has(self.status.execution)"


def _blocked_by(name: HazardName) -> str:
    blocks = f"self.status.hazards.exists(h, h.name == '{name}' && {_BLOCKS})"
    return f"({blocks} && !('{name}' in self.spec.acknowledge) ? ' {name}' : '')"


def _ended(*types: str) -> str:
    return f"self.status.conditions.exists(c, c.status == 'True' && c.type in {list(types)})"


CHECKS = (
    Rule(
        f"!({_APPROVED_NOW}) || ({_CONDITIONS} && "
        "self.status.conditions.exists(c, c.type == 'Validated' && c.status == 'True'))",
        "spec.decision: Approve must wait until Tidegate has looked for hazards and the broker would carry it out "
        "(condition Validated is True): kubectl describe pprop says what is in the way",
        field="spec.decision",
    ),
    Rule(
        f"!({_APPROVED_NOW} && {_HAZARDS}) || "
        f"self.status.hazards.all(h, !({_BLOCKS}) || self.spec.acknowledge.exists(a, a == h.name))",
        "spec.acknowledge must name every hazard of status.hazards that blocks spec.method",
        "'spec.acknowledge must also name what blocks method ' + self.spec.method + ':' + "
        f"{' + '.join(map(_blocked_by, HazardName))} + '. kubectl describe pprop says what each breaks'",
        field="spec.acknowledge",
    ),
    Rule(
        f"{_SAME_DECISION} || !({_CONDITIONS}) || !{_ended(*_ENDINGS)}",
        "spec.decision: too late, this proposal is closed (see status.conditions)",
        "'spec.decision: too late, this proposal is closed: ' "
        f"+ ({_ended('Applied')} ? 'Applied' : {_ended('Failed')} ? 'Failed' : 'Expired') "
        "+ '. If more partitions still are needed, Tidegate makes another one'",
        field="spec.decision",
    ),
    Rule(
        f"{_SAME_DECISION} || {_NOT_BEGUN} || self.status.execution.step in ['Started', 'Paused']",
        "spec.decision: too late, the topic has been enlarged (status.execution says how far it is)",
        field="spec.decision",
    ),
    Rule(
        f"self.spec.method == oldSelf.spec.method || {_NOT_BEGUN}",
        "spec.method must stay as it is: the increase has begun (status.execution says how far it is)",
        field="spec.method",
    ),
)
"""Of the whole object: an approval is checked against the hazards that were found."""

SPEC_CHECKS = rules(
    ("self.to > self.from", "spec.to must be above spec.from: partitions cannot be taken away"),
    Rule(
        "oldSelf.hasValue() || (self.decision == 'Pending' && self.acknowledge.size() == 0)",
        "spec.decision must be Pending, and spec.acknowledge empty, in a new proposal: decide it by an edit once "
        "status.hazards says what it can break",
        created=True,
    ),
    (
        "self.method == oldSelf.method || oldSelf.decision == 'Pending'",
        "spec.method must stay as it was decided: choose it before, or in the edit that approves",
    ),
    (
        "oldSelf.decision == 'Pending' || oldSelf.acknowledge.all(a, a in self.acknowledge)",
        "spec.acknowledge must keep what it had when it was decided: names can only be added",
    ),
)
"""Of the spec: it begins undecided, and what was decided stays."""

FINAL = rules(
    Rule(
        "oldSelf == 'Pending' || self == oldSelf",
        "spec.decision is final once made",
        "'spec.decision is final: it is ' + oldSelf + (oldSelf == 'Reject' ? '. To decide anew, delete this proposal: "
        "if more partitions still are needed, Tidegate makes another one' : ' already, and cannot be taken back')",
    )
)
"""Of spec.decision."""


def fixed(field: str) -> dict[str, Any]:
    """Of a field that says what is proposed: a person decides upon what was found, not upon an edit of it."""
    return rules(
        ("self == oldSelf", f"{field} must stay as Tidegate made it: only decision, acknowledge and method are yours")
    )
