"""The engine's one function: what was seen becomes a decision and a memory. No I/O, no clock, no randomness."""

from collections.abc import Iterable
from dataclasses import replace

from tidegate.api.lagpolicy import LagPolicySpec
from tidegate.api.reasons import Reason
from tidegate.engine.decision import Decision
from tidegate.engine.guards import NO_NUMBERS, NOT_JUDGED, Guard, Verdict, first_objection
from tidegate.engine.learning import learn
from tidegate.engine.memory import Memory
from tidegate.engine.observation import Observation
from tidegate.engine.rules import size, within_limits
from tidegate.engine.situation import Situation, situation
from tidegate.engine.terms import terms_of

RETENTION_NEAR = 1 / 3
"""Of the age of the oldest record: with less time than that left, three quarters of its retention are gone."""


def step(memory: Memory, observation: Observation, spec: LagPolicySpec, now: float) -> tuple[Decision, Memory]:
    """Decide the replicas of one policy from one observation at `now` (seconds since the epoch).

    Learns from every observation, also from those it holds on. Raises nothing for any observation.
    """
    terms = terms_of(spec)
    learned = learn(memory, observation, terms, now)
    s = situation(learned, observation, terms, now)
    verdict = _held(s, NO_NUMBERS) or within_limits(s) or _held(s, NOT_JUDGED) or size(s)
    memory = replace(learned.memory, backlog=s.backlog)
    if verdict.replicas == 0:
        memory = replace(memory, residue=s.backlog.lag or 0)
    return _decision(s, verdict), memory


def _held(s: Situation, guards: Iterable[Guard]) -> Verdict | None:
    """The first objection, with what is known nevertheless."""
    verdict = first_objection(s, guards)
    if verdict is None:
        return None
    return verdict._replace(message="; ".join([verdict.message, *s.numbers(), *s.troubles()]))


def _decision(s: Situation, verdict: Verdict) -> Decision:
    return Decision(
        replicas=verdict.replicas if verdict.replicas != s.asked else None,
        reason=verdict.reason,
        message=verdict.message,
        need=verdict.need,
        desired=verdict.desired,
        limited_by=verdict.limited_by,
        partitions=len(s.count.shares) if s.count else None,
        ceiling=s.fleet.ceiling if s.fleet else None,
        at_risk=_at_risk(s, verdict),
        dry_run=s.terms.dry_run,
        backlog=s.backlog,
        capacity=s.capacity,
    )


def _at_risk(s: Situation, verdict: Verdict) -> Reason | None:
    """The worst that is known of the promise and of the records, in this order."""
    age, margin = s.backlog.age, s.backlog.retention_margin
    if s.backlog.lost:
        return Reason.DATA_LOST
    if margin is not None and age is not None and margin < age * RETENTION_NEAR:
        return Reason.RETENTION_NEAR
    if age is not None and age - s.staleness.age > s.terms.max_age:
        return Reason.PROMISE_BROKEN
    return Reason.PROMISE_AT_RISK if verdict.at_risk else None
