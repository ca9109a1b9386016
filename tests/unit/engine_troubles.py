"""A world in which everything happens to a group that can happen to one, for stories of any order."""

from dataclasses import dataclass, replace
from math import floor, inf

from tests.unit.engine_world import Partition, World
from tidegate.engine import Offsets, PartitionId, Reading

CRASHES_AFTER = 3.0  # seconds from ready to the crash of a pod that crash-loops


@dataclass
class Troubled(World):
    """Pods that are deployed anew, slow, stuck or crash; members that leave; topics that jump; a clock that is set."""

    start: float = 8.0  # seconds a pod takes now; inf: it is not scheduled
    crashing: bool = False  # pods made from now on crash soon after they became ready, again and again
    away: int = 0  # members that the coordinator has lost, though their pods are ready
    skew: float = 0.0  # seconds by which the operator's clock differs from the API server's
    topic_id: str = "id-1"
    retention: float | None = None

    def __post_init__(self):
        self.startup = lambda index: self.start
        self.doomed: set[str] = set()
        super().__post_init__()

    @property
    def clock(self) -> float:
        """What the operator takes for the time."""
        return self.now + self.skew

    # --- pods and members
    def _make_pod(self, at: float) -> None:
        super()._make_pod(at)
        if self.crashing:
            self.doomed.add(self.pods[-1].name)

    def _members(self) -> None:
        self._roll_out()
        for pod in self.pods:
            if pod.name in self.doomed and pod.joined and pod.ready_at + CRASHES_AFTER <= self.now:
                pod.joined, pod.ready_at = False, self.now + self.start
        super()._members()

    def _working(self) -> list[str]:
        working = super()._working()
        return working[: max(0, len(working) - self.away)]

    def _roll_out(self) -> None:
        """One pod of the old template after the other is replaced, as soon as all that are there are ready."""
        old = [pod for pod in self.pods if pod.template != self.template]
        if old and all(pod.joined for pod in self.pods):
            self.pods.remove(old[0])
            self._make_pod(self.now)

    def a_pod_crashes(self) -> None:
        for pod in [pod for pod in self.pods if pod.joined][:1]:
            pod.joined, pod.ready_at = False, self.now + self.start

    # --- topics
    def recreate(self) -> None:
        self.topic_id += "+"
        self.parts = [Partition() for _ in self.parts]

    def truncate(self, records: float) -> None:
        """A leader without the newest records took over."""
        part = self.parts[0]
        part.end = max(part.start, part.end - records)
        part.done = min(part.done, part.end)
        part.waiting.clear()

    def add_partitions(self, more: int) -> None:
        self.parts += [Partition() for _ in range(more)]
        self.weights = (*self.weights, *[1.0] * more)

    def retain(self) -> None:
        """Retention deletes half of what waits; consumers go on behind it."""
        for part in self.parts:
            part.start = max(part.start, floor((part.done + part.end) / 2))
            part.done = max(part.done, part.start)

    def move_commits(self, records: float) -> None:
        """A person resets the offsets, back or forth."""
        for part in self.parts:
            part.done = min(part.end, max(part.start, part.done + records))
            part.committed = floor(part.done)

    def hold_back(self, partitions: int, transaction: bool) -> None:
        """An open transaction, or a record that nobody can process."""
        for part in self.parts[:partitions]:
            part.limit, part.transaction = (part.end if transaction else part.done), transaction

    # --- the end of all troubles
    def heal(self) -> None:
        """Everything is as it should be, and nothing waits."""
        self.start, self.crashing, self.away, self.doomed = 8.0, False, 0, set()
        for pod in self.pods:
            pod.ready_at = min(pod.ready_at, self.now + self.start)
        for part in self.parts:
            part.limit, part.transaction, part.done = inf, False, part.end
            part.committed = floor(part.done)
            part.waiting.clear()

    # --- what is seen of it
    def reading(self) -> Reading:
        offsets = {
            PartitionId("points", i): Offsets(
                part.start,
                part.committed,
                floor(min(part.end, part.limit if part.transaction else inf)),
                floor(part.end),
            )
            for i, part in enumerate(self.parts)
        }
        return replace(
            super().reading(),
            partitions=offsets,
            topic_ids={"points": self.topic_id},
            committed_at=self.clock,
            ended_at=self.clock + 0.02,
            retention={} if self.retention is None else {"points": self.retention},
        )
