"""What a rule of an execution may look at, what several of them ask, and for how long they wait."""

from collections.abc import Callable
from typing import NamedTuple

from tidegate.api import OffsetReset, Reason
from tidegate.cluster.workloads import Workload
from tidegate.controllers.execution.acts import Act, Finish, GiveUp, Plan, Seen, Tried
from tidegate.engine.facts import GroupFacts, TopicFacts
from tidegate.engine.observation import GroupState, Objection

BEGIN_FOR = 30.0
"""Seconds for which the broker and the target may be silent before anything is begun."""

EMPTY_FOR = 90.0
"""Seconds until a group whose target was scaled to zero must be empty: twice Kafka's default session timeout, which
static members and killed ones take to leave."""

COMMIT_FOR = 120.0
"""Seconds for which the target stays at zero for commits that the broker refuses."""

AWAY_FOR = 600.0
"""Seconds for which the target stays at zero where the broker does not answer after the increase."""

OWNED_FOR = 600.0
"""Seconds for members to own the new partitions: classic ones look for them every 5 minutes."""

RELEASED_AFTER = 20.0
"""Seconds after which scaling goes on even if nobody owns the new partitions: a scale-out makes members look."""

SETTLE = 5.0
"""Seconds after a refused increase until it counts: an earlier request may have come through without an answer."""

PAUSES = 2
"""Times that the target is scaled to zero: once, and once more where somebody has scaled it up meanwhile."""

COMMITS = 3
"""Attempts for groups that are not the policy's: nobody waits at zero replicas for them."""

LOOK, LOOK_AT_OWNERS = 0.3, 2.0
"""Seconds between looks while the group is stopped, and while its members take over the partitions."""


class Case(NamedTuple):
    """All that a rule may look at."""

    plan: Plan
    seen: Seen
    tried: Tried

    @property
    def own(self) -> GroupFacts:
        """The group that needs the increase."""
        return self.seen.group(self.plan.group)

    @property
    def new(self) -> range:
        """The partitions that were not there before."""
        return range(self.plan.from_, self.seen.count or self.plan.from_)

    @property
    def grown(self) -> bool:
        """Whether the topic has them."""
        return len(self.new) > 0

    @property
    def owned(self) -> bool:
        """Whether members of the group own all of them."""
        return self.grown and self.own.owned.issuperset(self.new)

    def missing(self, group: GroupFacts) -> frozenset[int]:
        """The new partitions where a group has no commit."""
        return frozenset(self.new) - group.commits.keys()

    def may_skip(self, group: str) -> bool:
        """Whether its consumers may start behind the records of a new partition; not known is as Kafka's default."""
        return self.plan.resets.get(group, OffsetReset.LATEST) is not OffsetReset.EARLIEST


Rule = Callable[[Case], Act | None]
"""What to do next, or None where another rule has to say."""


def overdue(c: Case, limit: float, why: str) -> Act | None:
    """Give up what takes longer than it may."""
    return fail(c, why) if c.seen.since_step > limit else None


def fail(c: Case, why: str) -> Act:
    """Give up: that is the end, where no target has to come back first."""
    return GiveUp(why) if c.plan.pauses else Finish(False, why)


def is_another(plan: Plan, topic: TopicFacts) -> bool:
    """Ids that the evidence does not have tell nothing."""
    return plan.topic_id not in ("", topic.id) or plan.cluster not in ("", topic.cluster)


def for_good(target: Workload | Objection | None) -> bool:
    """Whether another attempt would be refused alike; an API server that does not answer may answer soon."""
    return isinstance(target, Objection) and target.reason is not Reason.SCALE_FAILED


def nobody(c: Case) -> bool:
    """Whether there is no replica that could own a partition."""
    target = c.seen.target
    return c.seen.replicas == 0 or (isinstance(target, Objection) and target.reason is Reason.TARGET_NOT_FOUND)


def empty(group: GroupFacts) -> bool:
    """Whether commits from outside are taken: a group that rebalances has members even where none is told."""
    return group.members == 0 and group.state in (GroupState.EMPTY, GroupState.ABSENT)


def committable(group: GroupFacts) -> bool:
    """Share groups keep no commits, and what Kafka Streams, Connect and the like keep is theirs."""
    return group.type in ("Classic", "Consumer") and group.protocol in ("", "consumer")


def live(c: Case) -> frozenset[str]:
    """Groups whose members may skip what is written before they find the new partitions; a paused one has none."""
    names = {group.name for group in c.seen.groups if committable(group) and not empty(group)}
    return frozenset(name for name in names if c.may_skip(name) and not (c.plan.pauses and name == c.plan.group))


def unproven(c: Case) -> frozenset[str]:
    """Groups for which it is not certain that they read the new partitions from their first record."""
    return frozenset(c.tried.grown.doubts) if c.tried.grown else live(c)
