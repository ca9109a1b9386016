"""The engine's one function: what was seen becomes a decision and a memory. No I/O, no clock, no randomness."""

from collections.abc import Iterable
from dataclasses import replace

from tidegate.api.lagpolicy import LagPolicySpec
from tidegate.api.reasons import Reason
from tidegate.engine.bound import Bound
from tidegate.engine.capacity import at_level
from tidegate.engine.decision import Decision
from tidegate.engine.guards import NO_NUMBERS, NOT_JUDGED, Guard, Verdict, first_objection
from tidegate.engine.hot import hot_partitions
from tidegate.engine.increase import wanted_increase
from tidegate.engine.ladder import Look, View, climb
from tidegate.engine.learning import learn
from tidegate.engine.memory import Memory
from tidegate.engine.observation import Flags, Observation, Target
from tidegate.engine.rules import size, within_limits
from tidegate.engine.sight import settle_of, sight_of
from tidegate.engine.situation import Situation, situation
from tidegate.engine.terms import terms_of
from tidegate.engine.words import Said


def step(memory: Memory, observation: Observation, spec: LagPolicySpec, now: float) -> tuple[Decision, Memory]:
    """Decide the replicas of one policy from one observation at `now` (seconds since the epoch).

    Learns from every observation, also from those it holds on. Raises nothing for any observation.
    """
    terms = terms_of(spec)
    if observation.flags is not None:
        memory, observation = memory.with_flags(observation.flags, now), _at_level(observation, observation.flags)
    learned = learn(memory, observation, terms, now)
    s = situation(learned, observation, terms, now)
    held = _held(s, NO_NUMBERS) or within_limits(s) or _held(s, NOT_JUDGED)
    verdict = held or size(s)
    bound = learned.memory.bound.after(verdict.need, s.fleet.ceiling if s.fleet else None, now)
    memory = learned.memory._replace(backlog=s.backlog, bound=bound)
    if spec.behavior is not None and verdict.wanted is not None:
        memory = memory._replace(recommended=memory.recommended.after(verdict.wanted, now))
    if verdict.replicas == 0:
        memory = memory._replace(residue=s.backlog.lag or 0)
    decision = _decision(s, verdict, bound)
    return (
        _with_rung(decision, memory, s, verdict, held is None)
        if terms.ladder and observation.flags
        else (decision, memory)
    )


def _at_level(observation: Observation, flags: Flags) -> Observation:
    """The pods as they work at a level: what they can do then is learned as of another template."""
    target = observation.target
    if target is None or not flags.level:
        return observation
    pods = tuple(pod._replace(template=at_level(pod.template, flags.level)) for pod in target.pods)
    return replace(observation, target=Target(target.replicas, pods, at_level(target.template, flags.level)))


def _with_rung(
    decision: Decision, memory: Memory, s: Situation, verdict: Verdict, judged: bool
) -> tuple[Decision, Memory]:
    """The same with where the degradation ladder should stand. While a level is in force sizing does as if it were not,
    so what becomes of the promise is told by the ladder's outlook.
    """
    flags, terms = s.observation.flags, s.terms.ladder
    assert flags is not None
    assert terms is not None
    view = sight_of(s, verdict, judged, flags, terms)
    look = Look(memory.ladder, flags, terms, view, settle_of(s, flags.propagation), s.now)
    rung, ladder = climb(look)
    if s.level and isinstance(view, View):
        decision = decision._replace(at_risk=_at_risk(s, view.breaks))
    return decision._replace(rung=rung), memory._replace(ladder=ladder)


def _held(s: Situation, guards: Iterable[Guard]) -> Verdict | None:
    """The first objection, with what is known nevertheless."""
    verdict = first_objection(s, guards)
    if verdict is None:
        return None
    return verdict._replace(said=Said(lambda: "; ".join([str(verdict.said), *s.numbers(), *s.troubles()])))


def _decision(s: Situation, verdict: Verdict, bound: Bound) -> Decision:
    return Decision(
        replicas=verdict.replicas if verdict.replicas != s.asked else None,
        reason=verdict.reason,
        said=verdict.said,
        need=verdict.need,
        desired=verdict.desired,
        limited_by=verdict.limited_by,
        partitions=len(s.counted.shares.partitions) if s.counted else None,
        ceiling=s.fleet.ceiling if s.fleet else None,
        bound=bound.seen > 0,
        at_risk=_at_risk(s, verdict.at_risk),
        copes_with=verdict.copes_with,
        dry_run=s.terms.dry_run,
        hot=hot_partitions(s) if s.memory.loads.hot else (),
        increase=wanted_increase(s, verdict, bound) if bound.since and bound.seen == s.now else None,
        backlog=s.backlog,
        capacity=s.capacity,
    )


def _at_risk(s: Situation, breaks: bool) -> Reason | None:
    """The worst that is known of the promise and of the records, in this order."""
    if s.backlog.lost:
        return Reason.DATA_LOST
    if s.retention_near:
        return Reason.RETENTION_NEAR
    if s.backlog.age is not None and s.backlog.age - s.unseen > s.terms.max_age:
        return Reason.PROMISE_BROKEN
    return Reason.PROMISE_AT_RISK if breaks else None
