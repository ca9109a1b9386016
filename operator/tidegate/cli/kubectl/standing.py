"""How a consumer stands: one word that says most, and how dangerous it is. Pure: from what the policy's status has."""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from tidegate.api import Condition, LagPolicy, Mode, Reason, Truth
from tidegate.cluster.conditions import find


class Danger(IntEnum):
    """What needs a person first, from the worst down."""

    LOSS = 0  # records are, or will soon be, lost
    BROKEN = 1  # the promise is broken
    RISK = 2  # it is about to be
    BLIND = 3  # Tidegate cannot do its job here
    DEGRADED = 4  # features are off
    WAITING = 5  # a decision of a person, or the first look
    CALM = 6


class Standing(NamedTuple):
    """One word for the column STATE, and how urgent it is."""

    word: str
    danger: Danger


Judge = Callable[[LagPolicy], Standing | None]

LOSSES = (Reason.DATA_LOST, Reason.RETENTION_NEAR)


def standing(policy: LagPolicy) -> Standing:
    """The first thing that is to be said of it."""
    said = (judge(policy) for judge in _JUDGES)
    return next((found for found in said if found is not None), Standing("Kept", Danger.CALM))


def true(policy: LagPolicy, kind: str) -> Condition | None:
    """The condition, where it is True."""
    condition = find(policy.status.conditions, kind)
    return condition if condition and condition.status is Truth.TRUE else None


def false(policy: LagPolicy, kind: str) -> Condition | None:
    """The condition, where it is False."""
    condition = find(policy.status.conditions, kind)
    return condition if condition and condition.status is Truth.FALSE else None


def _lost(policy: LagPolicy) -> Standing | None:
    risk = true(policy, "AtRisk")
    return Standing(risk.reason, Danger.LOSS) if risk and risk.reason in LOSSES else None


def _paused(policy: LagPolicy) -> Standing | None:
    """A person knows of it, but nobody else keeps the promise meanwhile."""
    if policy.mode is not Mode.PAUSED:
        return None
    return Standing("Paused", Danger.BROKEN if true(policy, "AtRisk") else Danger.WAITING)


def _new(policy: LagPolicy) -> Standing | None:
    return None if policy.status.last_decision else Standing("New", Danger.WAITING)


def _blind(policy: LagPolicy) -> Standing | None:
    """Numbers from before it went blind say nothing of now."""
    return Standing("NotObserving", Danger.BLIND) if false(policy, "Observing") else None


def _at_risk(policy: LagPolicy) -> Standing | None:
    risk = true(policy, "AtRisk")
    if risk is None:
        return None
    return (
        Standing("Broken", Danger.BROKEN) if risk.reason == Reason.PROMISE_BROKEN else Standing("AtRisk", Danger.RISK)
    )


def _not_ready(policy: LagPolicy) -> Standing | None:
    return Standing("NotReady", Danger.BLIND) if false(policy, "Ready") else None


def _degraded(policy: LagPolicy) -> Standing | None:
    ladder = policy.status.degradation
    return Standing("Degraded", Danger.DEGRADED) if ladder and ladder.level else None


def _dry(policy: LagPolicy) -> Standing | None:
    return Standing("DryRun", Danger.CALM) if policy.mode is Mode.DRY_RUN else None


_JUDGES: tuple[Judge, ...] = (_lost, _paused, _new, _blind, _at_risk, _not_ready, _degraded, _dry)


def used_up(policy: LagPolicy) -> float:
    """The share of the promise that the oldest record has used; 0 where it is not known."""
    age = policy.status.backlog.age
    return age / policy.spec.objective.max_age if age is not None else 0.0


def urgency(policy: LagPolicy) -> tuple[int, float, str, str]:
    """To sort by: the most dangerous first."""
    meta = policy.metadata
    return standing(policy).danger, -used_up(policy), meta.namespace or "", meta.name
