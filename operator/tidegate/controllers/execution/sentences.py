"""What an execution says to people: what happened, what it may have cost, and what to do by hand."""

from collections.abc import Collection, Mapping, Sequence

from tidegate.api import Execution
from tidegate.cluster.workloads import Workload
from tidegate.controllers.execution.acts import Plan
from tidegate.engine import words
from tidegate.engine.facts import GroupFacts
from tidegate.engine.observation import Objection, ReadingError
from tidegate.sources import Increased

LISTED = 40
"""Partitions that are listed one by one: more would not fit into a condition."""


def partitions(numbers: Collection[int]) -> str:
    """`6,7,8`, as Kafka's tools want them."""
    listed = [str(number) for number in sorted(numbers)]
    return ",".join(listed) if len(listed) <= LISTED else f"{listed[0]},{listed[1]},…,{listed[-1]}"


def seek(group: str, topic: str, numbers: Collection[int]) -> str:
    """What a person does so that a group reads these partitions from their beginning."""
    return (
        f"stop the consumers of {group}, run kafka-consumer-groups.sh --bootstrap-server … --group {group} --topic "
        f"{topic}:{partitions(numbers)} --reset-offsets --to-offset 0 --execute, and start them again (records that "
        "were processed already come once more)"
    )


def no_target(target: Workload | Objection | None) -> str:
    """Why the target cannot be scaled."""
    return target.message if isinstance(target, Objection) else "the target to pause is not known"


def no_commit(plan: Plan, missing: Collection[int]) -> str:
    """The pause itself would lose records."""
    return (
        f"nothing was changed: group {plan.group} has not committed anything yet in partitions {partitions(missing)}, "
        "so with auto.offset.reset=latest its consumers would skip what is written there while they are stopped. Wait "
        "until they have processed a record of each, or approve a proposal with method: Live"
    )


def target(execution: Execution | None) -> str:
    """`Deployment points-consumer`."""
    ref = execution.target_ref if execution else None
    return f"{ref.kind} {ref.name}" if ref else "the target"


def scaled_up(replicas: int | None, execution: Execution | None) -> str:
    """Somebody does not want the target at zero."""
    return (
        f"somebody else scales {target(execution)} up (to {replicas} now) while it is paused for the increase: find "
        "out who (kubectl get … --show-managed-fields), or approve a proposal with method: Live"
    )


def members(group: GroupFacts) -> str:
    """`group points has 3 members (2 static)`."""
    static = f" ({group.static} static)" if group.static else ""
    return f"group {group.name} has {words.some(group.members, 'member')}{static}"


def stayed(group: GroupFacts, execution: Execution | None) -> str:
    """Who keeps the group from being empty."""
    why = (
        "static members (group.instance.id) leave when their session timeout is over: if it is longer, stop them first"
        if group.static
        else "consumers that do not belong to it are in the group: stop them first"
    )
    return f"{members(group)} although {target(execution)} was scaled to zero: {why}"


def unknown(plan: Plan, error: ReadingError) -> str:
    """The broker went away in the middle."""
    new = range(plan.from_, plan.to)
    return (
        f"whether {plan.topic} has grown is not known, the broker does not answer: {error.message}. If it has, records "
        f"in the new partitions can be skipped: {seek(plan.group, plan.topic, new)}"
    )


def uncommitted(plan: Plan, missing: Collection[int], why: str) -> str:
    """The topic has grown, and the group could not be given its start in the new partitions."""
    return (
        f"{plan.topic} has grown, but offset 0 could not be committed for group {plan.group} ({why}): with "
        f"auto.offset.reset=latest its consumers skip what was written before they start. "
        f"To lose nothing, {seek(plan.group, plan.topic, missing)}"
    )


def behind(group: str, plan: Plan, missing: Collection[int], why: str) -> str:
    """The same for a group that has no members now."""
    return (
        f"offset 0 could not be committed for group {group}, which has no members now ({why}); before it starts: "
        f"{seek(group, plan.topic, missing)}"
    )


def skipped(plan: Plan, new: Sequence[int], groups: Sequence[str], grown: Increased | None) -> str:
    """Groups that went on while the topic grew, without proof that they missed nothing."""
    lost = "the answer to the increase was lost"
    found = "; ".join(f"{name}: {grown.doubts[name] if grown else lost}" for name in groups)
    return (
        f"records at the start of partitions {partitions(new)} may have been skipped ({found}); to read them again, "
        f"{seek(groups[0], plan.topic, new)}"
    )


def started(plan: Plan, commits: Mapping[int, int]) -> str:
    """Consumers came back before offset 0 stood: how many records they may have skipped at most."""
    if not commits:
        return ""
    return (
        f"consumers of {plan.group} started before offset 0 was committed: up to "
        f"{words.some(sum(commits.values()), 'record')} may have been skipped in partitions {partitions(commits)}; "
        f"to read them again, {seek(plan.group, plan.topic, commits)}"
    )


def applied(plan: Plan, owners: str, doubts: str) -> str:
    """The end as it was wanted."""
    said = f"{plan.topic} has {plan.to} partitions instead of {plan.from_}; {owners}"
    return f"{said}; {doubts}" if doubts else said


def unowned(numbers: Collection[int], after: float) -> str:
    """Nobody reads some partitions yet."""
    return (
        f"after {words.seconds(after)} no member owns partitions {partitions(numbers)}: consumers look for new ones "
        "every metadata.max.age.ms (5 minutes), or when they are restarted"
    )
