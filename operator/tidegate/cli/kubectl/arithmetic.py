"""The numbers behind the replicas, each with the sum that leads to it. Pure."""

from collections.abc import Iterator
from math import ceil

from tidegate.api import LagPolicy, format_rate
from tidegate.cli.kubectl import sentences
from tidegate.cli.kubectl.summary import number
from tidegate.engine.words import rate, some


def figures(policy: LagPolicy) -> Iterator[tuple[str, str]]:
    """From the rates to the replicas."""
    status = policy.status
    yield "rates", sentences.flow(status.backlog)
    yield "backlog", sentences.waiting(status.backlog)
    yield "promise", sentences.promise(policy)
    yield "one replica", sentences.capacity(policy)
    yield "to keep pace", pace(policy)
    yield "need", need(policy)
    yield "limits", sentences.bounds(policy)
    yield "desired", desired(policy)
    yield "there are", sentences.there(policy)
    yield "a change costs", sentences.change_costs(policy)
    if status.replicas.copes_with_jump is not None:
        yield "a jump", jump(policy)


def keeping_pace(policy: LagPolicy) -> int | None:
    """Replicas that do what arrives, however long what waits may take; None where that is not known."""
    arrive, each = policy.status.backlog.arrival_rate, policy.status.capacity.per_replica
    return None if arrive is None or not each else ceil(arrive / each)


def pace(policy: LagPolicy) -> str:
    """The division."""
    arrive, each = policy.status.backlog.arrival_rate, policy.status.capacity.per_replica
    fleet = keeping_pace(policy)
    if fleet is None or arrive is None or not each:
        return "not known without both rates"
    return f"{rate(arrive)} / {rate(each)} = {arrive / each:.2f}, so {some(fleet, 'replica')}"


def need(policy: LagPolicy) -> str:
    """What the promise asks for, and why it is not just the pace."""
    wanted, fleet = policy.status.replicas.need, keeping_pace(policy)
    if wanted is None:
        return "not known: nothing is scaled by a guess"
    if fleet is None or wanted == fleet:
        return some(wanted, "replica")
    if wanted > fleet:
        return (
            f"{some(wanted, 'replica')}: {wanted - fleet} more than the pace, for what waits, for what the rates may be"
            " off by, and for a size by which the partitions divide evenly"
        )
    return f"{some(wanted, 'replica')}: fewer than the pace, as what waits meanwhile stays within the promise"


def desired(policy: LagPolicy) -> str:
    """What is left of the need after the limits."""
    replicas = policy.status.replicas
    if replicas.desired is None:
        return "not known"
    if replicas.limited_by is None:
        same = "the need" if replicas.desired == replicas.need else f"need {number(replicas.need)}"
        return f"{some(replicas.desired, 'replica')}: {same}, no limit stands in between"
    return f"{some(replicas.desired, 'replica')}: need {number(replicas.need)}, limited by {replicas.limited_by}"


def jump(policy: LagPolicy) -> str:
    """How much more may come at once."""
    times = policy.status.replicas.copes_with_jump or 0.0
    if times < 1:
        return "what arrives now is already too much for every record to be in time"
    return f"the arrivals may jump to {format_rate(times)} times what they are, all at once, with every record in time"
