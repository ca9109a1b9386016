"""The conditions of a LagPolicy: one cycle's outcome, judged for whoever looks at the policy.

Where a cycle says nothing new about a condition (the group rebalances, rates are not known yet) it stays as it was;
where the reading failed it is Unknown, since the last answer may be wrong by now.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tidegate.api import Condition, LagPolicy, LagPolicyStatus, Reason, Truth, format_rate
from tidegate.cluster.conditions import POLICY_CONDITIONS, UNKNOWN, Said, condition
from tidegate.cluster.laddering import LADDER_CONDITIONS, Ladder, degraded, flag_drift
from tidegate.cluster.scaling import Scaled
from tidegate.engine.decision import Decision
from tidegate.engine.observation import Objection, Observation, ReadingError
from tidegate.engine.words import seconds, some

UNDECIDED = frozenset({Reason.WARMING_UP, Reason.REBALANCING, Reason.OFFSETS_RESET})
"""Holds that pass by themselves within seconds."""

NEEDS_A_PERSON = frozenset(
    {
        Reason.PAUSED,
        Reason.READING_STALE,
        Reason.UNKNOWN_BACKLOG,
        Reason.CONSUMERS_DOWN,
        Reason.TRANSACTION_STALLED,
        Reason.NOT_EFFECTIVE,
        Reason.PODS_NOT_STARTING,
        Reason.TARGET_NOT_FOUND,
    }
)
"""Holds in which Tidegate cannot keep the promise, beside objections and failed readings."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one cycle did for one policy, at `now` (epoch seconds).

    `scaled` is what became of the write, None where none was tried.
    `proposal` is the open PartitionProposal to show, `unproposed` why none could be made although one is needed.
    `ladder` is the degradation ladder, where there is one.
    """

    policy: LagPolicy
    observation: Observation
    decision: Decision
    now: float
    scaled: Scaled | Objection | None = None
    proposal: str | None = None
    unproposed: Objection | None = None
    ladder: Ladder | None = None

    @property
    def problem(self) -> Objection | None:
        """Why the write was refused."""
        return self.scaled if isinstance(self.scaled, Objection) else None

    @property
    def generation(self) -> int:
        """The generation of the policy that was obeyed."""
        return self.policy.metadata.generation


def conditions_of(outcome: Outcome, old: LagPolicyStatus) -> tuple[Condition, ...]:
    """All conditions, as of this cycle, sorted."""
    kinds = POLICY_CONDITIONS + (LADDER_CONDITIONS if outcome.ladder else ())
    known = {c.type: c for c in old.conditions if c.type in kinds or c.type not in LADDER_CONDITIONS}
    judged = {kind: _judged(kind, outcome, known.get(kind)) for kind in kinds}
    return tuple(c for _, c in sorted((known | judged).items()))


def _judged(kind: str, outcome: Outcome, before: Condition | None) -> Condition:
    said = _JUDGES[kind](outcome, before)
    if said is None:
        said = (before.status, before.reason, before.message) if before else UNKNOWN
    return condition(kind, *said, outcome.generation, outcome.now, before)


def _ready(outcome: Outcome, before: Condition | None) -> Said | None:
    """Whether Tidegate does its job here."""
    decision, observation = outcome.decision, outcome.observation
    problem = outcome.problem or observation.objection
    if problem:
        return False, problem.reason, problem.message
    if isinstance(observation.reading, ReadingError) or decision.reason in NEEDS_A_PERSON:
        return False, decision.reason, decision.message
    if outcome.ladder and outcome.ladder.problem:
        problem = outcome.ladder.problem
        return False, problem.reason, f"it scales, but the degradation ladder is stuck: {problem.message}"
    if decision.reason in UNDECIDED:
        return None if before and before.status is Truth.TRUE else (Truth.UNKNOWN, decision.reason, decision.message)
    return True, Reason.DRY_RUN if decision.dry_run else Reason.READY, decision.message


def _observing(outcome: Outcome, _: Condition | None) -> Said | None:
    """Whether readings are fresh and whole."""
    reading, decision = outcome.observation.reading, outcome.decision
    if isinstance(reading, ReadingError):
        return False, reading.reason, reading.message
    if decision.reason is Reason.READING_STALE:
        return False, decision.reason, decision.message
    return True, Reason.OBSERVED, f"{some(len(reading.partitions), 'partition')} read, whole and fresh"


def _scaling_limited(outcome: Outcome, _: Condition | None) -> Said | None:
    """Whether a limit of the policy keeps the replicas from the need."""
    decision = outcome.decision
    if decision.need is None or decision.desired is None:
        return _unknown_without_reading(outcome)
    if decision.limited_by is None:
        return False, Reason.WITHIN_LIMITS, f"the promise needs {some(decision.need, 'replica')}"
    return True, decision.limited_by, f"the promise needs {_limited(outcome)}"


def _limited(outcome: Outcome) -> str:
    decision = outcome.decision
    return f"{some(decision.need or 0, 'replica')}, {_limit(outcome)} makes it {decision.desired}"


def _limit(outcome: Outcome) -> str:
    decision, replicas = outcome.decision, outcome.policy.spec.replicas
    match decision.limited_by:
        case Reason.MIN_REPLICAS:
            return f"spec.replicas.min: {replicas.min}"
        case Reason.MAX_REPLICAS:
            return f"spec.replicas.max: {replicas.max}"
        case Reason.BEHAVIOR:
            return "spec.behavior"
        case _:
            return f"the number of partitions ({decision.partitions})"


def _partition_bound(outcome: Outcome, _: Condition | None) -> Said | None:
    """Whether there are too few partitions for the need."""
    decision = outcome.decision
    if decision.need is None or decision.ceiling is None:
        return _unknown_without_reading(outcome)
    bound = decision.bound or decision.need > decision.ceiling
    partitions = f"{some(decision.partitions or 0, 'partition')} can employ {some(decision.ceiling, 'replica')}"
    hot = ", ".join(f"{one.topic}/{one.partition}" for one in decision.hot)
    tail = ["it was above that in the last minutes"] if bound and decision.need <= decision.ceiling else []
    tail += [f"hot, whatever the others do: {hot}"] if bound and hot else []
    if bound and outcome.unproposed:
        tail.append(f"proposing more fails: {outcome.unproposed.message}")
    reason = Reason.PARTITIONS if bound else Reason.WITHIN_LIMITS
    return bound, reason, "; ".join([f"{partitions}, the need is {decision.need}", *tail])


def _at_risk(outcome: Outcome, _: Condition | None) -> Said | None:
    """Whether the promise is broken or about to be, or retention deletes waiting records."""
    decision = outcome.decision
    if decision.at_risk is not None:
        return True, decision.at_risk, _risk(outcome) + _short_of(outcome)
    if decision.backlog.age is None:
        return _unknown_without_reading(outcome)
    kept = f"{_oldest(outcome)}, within the promise of {_promise(outcome)}"
    return False, Reason.PROMISE_KEPT, "; ".join([kept, *_bound_of_the_promise(outcome)])


def _bound_of_the_promise(outcome: Outcome) -> list[str]:
    """New replicas that work later than `maxAge` allows cannot keep it for any jump: a fact of the policy, no alarm."""
    capacity, factor = outcome.decision.capacity, outcome.decision.copes_with
    lead = (capacity.startup or 0.0) + (capacity.rebalance or 0.0)
    if factor is None or lead <= outcome.policy.spec.objective.max_age.total_seconds():
        return []
    return [f"new replicas take {seconds(lead)}, so it holds for a jump to {format_rate(factor)} times the arrivals"]


def _risk(outcome: Outcome) -> str:
    backlog = outcome.decision.backlog
    match outcome.decision.at_risk:
        case Reason.DATA_LOST:
            return f"retention deleted {some(backlog.lost, 'record')} that the group had not read"
        case Reason.RETENTION_NEAR if backlog.retention_margin is not None:
            return f"{_oldest(outcome)}; retention starts to delete in {seconds(backlog.retention_margin)}"
        case Reason.PROMISE_BROKEN:
            return f"{_oldest(outcome)}, the promise is {_promise(outcome)}"
        case _:
            return f"{_oldest(outcome)}; the promise of {_promise(outcome)} is about to break"


def _short_of(outcome: Outcome) -> str:
    """What the limit of the replicas has to do with it."""
    decision = outcome.decision
    promise = decision.at_risk in (Reason.PROMISE_AT_RISK, Reason.PROMISE_BROKEN)
    short = decision.limited_by is not None and (decision.need or 0) > (decision.desired or 0)
    return f"; it needs {_limited(outcome)}" if promise and short else ""


def _oldest(outcome: Outcome) -> str:
    age = outcome.decision.backlog.age
    return "nothing waits" if not age else f"the oldest waiting record is {seconds(age)} old"


def _promise(outcome: Outcome) -> str:
    return seconds(outcome.policy.spec.objective.max_age.total_seconds())


def _degraded(outcome: Outcome, _: Condition | None) -> Said | None:
    """Whether features are off."""
    return degraded(outcome.ladder, outcome.decision) if outcome.ladder else None


def _flag_drift(outcome: Outcome, _: Condition | None) -> Said | None:
    """Whether somebody else has changed a switched flag."""
    return flag_drift(outcome.ladder) if outcome.ladder else None


def _unknown_without_reading(outcome: Outcome) -> Said | None:
    reading = outcome.observation.reading
    return (Truth.UNKNOWN, reading.reason, reading.message) if isinstance(reading, ReadingError) else None


_JUDGES: dict[str, Callable[[Outcome, Condition | None], Said | None]] = {
    "Ready": _ready,
    "Observing": _observing,
    "ScalingLimited": _scaling_limited,
    "PartitionBound": _partition_bound,
    "AtRisk": _at_risk,
    "Degraded": _degraded,
    "FlagDrift": _flag_drift,
}
