"""Which consumer owns which partition: Kafka's assignors for one topic."""

from collections.abc import Callable, Sequence

Owners = list[int]
"""For each partition the member that owns it; NOBODY where there are no members."""

NOBODY = -1

Assignor = Callable[[Owners, Sequence[int]], Owners]
"""(owners before, members now) -> owners after."""


def by_range(owners: Owners, members: Sequence[int]) -> Owners:
    """Blocks of neighbours in the order of the members; the first ones get one more (RangeAssignor)."""
    ordered = sorted(members)
    count = len(owners)
    if not ordered:
        return [NOBODY] * count
    sizes = [count // len(ordered) + (place < count % len(ordered)) for place in range(len(ordered))]
    return [member for member, size in zip(ordered, sizes, strict=True) for _ in range(size)]


def sticky(owners: Owners, members: Sequence[int]) -> Owners:
    """Even, and as few partitions as possible change hands (CooperativeSticky, and KIP-848's uniform assignor)."""
    if not members:
        return [NOBODY] * len(owners)
    held = {member: [p for p, owner in enumerate(owners) if owner == member] for member in members}
    least, more = divmod(len(owners), len(members))
    fullest_first = sorted(members, key=lambda member: (-len(held[member]), member))
    quotas = {member: least + (place < more) for place, member in enumerate(fullest_first)}
    after = [NOBODY] * len(owners)
    for member in members:
        for partition in held[member][: quotas[member]]:
            after[partition] = member
    free = [partition for partition, owner in enumerate(after) if owner == NOBODY]
    for member in fullest_first:
        for _ in range(quotas[member] - min(len(held[member]), quotas[member])):
            after[free.pop(0)] = member
    return after
