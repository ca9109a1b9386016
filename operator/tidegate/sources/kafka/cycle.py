"""One cycle over a cluster, step by step; everything that fails stays with the groups that need it.

Order matters (rule 2 of measuring): commits are answered before end offsets are asked, so that no lag is negative, or
too small, by the way it was measured.
"""

import time
from collections.abc import Collection, Iterable

from tidegate.api.lagpolicy import Isolation, OffsetReset
from tidegate.sources.kafka import commits, groups
from tidegate.sources.kafka.commits import Commits, lacks_commit
from tidegate.sources.kafka.configs import Configs
from tidegate.sources.kafka.coordinators import Coordinators
from tidegate.sources.kafka.groups import Described, Listed
from tidegate.sources.kafka.offsets import Ends, Logs
from tidegate.sources.kafka.past import Pasts, TopicPast
from tidegate.sources.kafka.scopes import Scopes
from tidegate.sources.kafka.settings import Settings
from tidegate.sources.kafka.topics import Topic, Topics
from tidegate.sources.kafka.trouble import Trouble
from tidegate.sources.kafka.wire import Wire
from tidegate.sources.shape import WantedGroup

EARLY_SHARE = 0.6  # of the time of a cycle, for everything before end offsets are asked


class Cluster:
    """What is kept between cycles."""

    def __init__(self, settings: Settings, configs: Configs) -> None:
        self.wire = Wire(settings)
        self.configs = configs
        self.topics = Topics(self.wire, settings.bootstrap)
        self.coordinators = Coordinators(self.wire, self.topics)
        self.logs = Logs(self.wire, self.topics)
        self.pasts = Pasts(self.logs)
        self.own: dict[str, tuple[str, ...]] = {}  # topics of groups whose policies name none
        self.assigned: dict[str, frozenset[str]] = {}  # topics of such groups' members, as last described
        self.scopes = Scopes(self.topics, configs)

    def keep_only(self, names: set[str]) -> None:
        """Forget the groups that nobody wants any more."""
        self.coordinators.keep_only(names)
        self.pasts.keep_only(names)
        for remembered in (self.own, self.assigned):
            for name in remembered.keys() - names:
                del remembered[name]


class Cycle:
    """One cycle's questions and what was answered."""

    def __init__(self, cluster: Cluster, wanted: Collection[WantedGroup], now: float, budget: float) -> None:
        self.cluster = cluster
        self.wanted = wanted
        self.early, self.late = now + EARLY_SHARE * budget, now + budget
        self.asked: dict[str, tuple[Topic, ...] | None] = {}
        self.commits: dict[str, Commits | Trouble] = {}
        self.listings: dict[int, dict[str, Listed] | Trouble] = {}
        self.described: dict[str, Described | Trouble] = {}
        self.ends: dict[str, Ends] = {}
        self.newcomers: dict[WantedGroup, tuple[str, ...]] = {}
        self.pasts: dict[str, TopicPast] = {}

    async def run(self) -> None:
        """Ask everything. Raises Trouble where no broker answers."""
        self.cluster.keep_only({one.group for one in self.wanted})
        await self._learn(self.early)
        self.asked = self._questions()
        await self._read_groups(list(self.asked))
        moved = [group for group in self.asked if self._moved(group)]
        if moved and time.monotonic() < self.early:
            self.cluster.coordinators.forget(moved)
            await self._read_groups(moved)
        await self._describe()
        self._find_own_topics()
        await self._learn(self.early)
        await self._read_ends()
        await self._read_pasts()
        self.cluster.configs.refresh(self.ends)

    def names(self, one: WantedGroup) -> tuple[str, ...]:
        """The topics that count for a policy, as far as known."""
        if one.topic_pattern is not None:
            return self.cluster.topics.matching(one.topic_pattern)
        return one.topics or self.cluster.own.get(one.group, ())

    def listed(self, group: str) -> Listed | None:
        """The group in its coordinator's list; None where it is not there. Raises Trouble where there is no list."""
        node = self.cluster.coordinators.node(group)
        listing = {} if node is None else self.listings.get(node, {})
        if isinstance(listing, Trouble):
            raise listing
        return listing.get(group)

    async def _learn(self, deadline: float) -> None:
        names = {name for one in self.wanted for name in one.topics or self.cluster.own.get(one.group, ())}
        everything = any(one.topic_pattern is not None for one in self.wanted)
        await self.cluster.topics.learn(names, everything, deadline)

    def _questions(self) -> dict[str, tuple[Topic, ...] | None]:
        """For each group the topics to ask its commits for: those its policies name, all where one names none."""
        names: dict[str, dict[str, None] | None] = {}
        for one in self.wanted:
            so_far = names.setdefault(one.group, {})
            if not one.topics and one.topic_pattern is None:
                names[one.group] = None
            elif so_far is not None:
                so_far.update(dict.fromkeys(self.names(one)))
        return {group: None if wanted is None else self._existing(wanted) for group, wanted in names.items()}

    def _existing(self, names: Iterable[str]) -> tuple[Topic, ...]:
        return tuple(topic for topic in map(self.cluster.topics.get, names) if isinstance(topic, Topic))

    async def _read_groups(self, names: Collection[str]) -> None:
        """Commits and states, both of which the coordinators have."""
        by_node, troubles = await self.cluster.coordinators.find(names, self.early)
        self.commits.update(troubles)
        await self.cluster.wire.together(
            [
                *(self._fetch(node, own) for node, own in by_node.items()),
                *(self._list(node) for node in by_node),
            ]
        )

    async def _fetch(self, node: int, names: list[str]) -> None:
        asked = {group: self.asked[group] for group in names}
        try:
            address = self.cluster.topics.address(node)
        except Trouble as trouble:
            self.commits.update(dict.fromkeys(names, trouble))
        else:
            self.commits.update(await commits.fetch(self.cluster.wire, address, asked, self.early))

    async def _list(self, node: int) -> None:
        try:
            address = self.cluster.topics.address(node)
            self.listings[node] = await groups.list_groups(self.cluster.wire, address, self.early)
        except Trouble as trouble:
            self.listings[node] = trouble

    def _moved(self, group: str) -> bool:
        found = self.commits.get(group)
        return isinstance(found, Trouble) and found.again

    async def _describe(self) -> None:
        by_node: dict[int, dict[str, Listed]] = {}
        for group in {one.group for one in self.wanted if self._needs_description(one)}:
            node, listed = self.cluster.coordinators.node(group), self._listed_or_none(group)
            if node is not None and listed is not None:
                by_node.setdefault(node, {})[group] = listed
        await self.cluster.wire.together(self._describe_at(node, own) for node, own in by_node.items())

    async def _describe_at(self, node: int, own: dict[str, Listed]) -> None:
        address = self.cluster.topics.address(node)
        self.described.update(await groups.describe(self.cluster.wire, address, own, self.early))

    def _needs_description(self, one: WantedGroup) -> bool:
        """Where members are asked for, or nothing but the assignment tells the topics or the state."""
        found, listed = self.commits.get(one.group), self._listed_or_none(one.group)
        if not isinstance(found, Commits) or listed is None:
            return False
        return one.describe or listed.state is None or (self.asked[one.group] is None and not found.topics)

    def _listed_or_none(self, group: str) -> Listed | None:
        try:
            return self.listed(group)
        except Trouble:
            return None

    def _find_own_topics(self) -> None:
        """Topics of the groups whose policies name none: those with commits, and those assigned."""
        for group, asked in self.asked.items():
            found, described = self.commits.get(group), self.described.get(group)
            if isinstance(described, Described):
                self.cluster.assigned[group] = described.topics
            if asked is None and isinstance(found, Commits):
                names = self.cluster.assigned.get(group, frozenset()).union(found.topics)
                self.cluster.own[group] = tuple(sorted(names))

    async def _read_ends(self) -> None:
        await self._ends_of(self._needed())
        again = {name for name, ends in self.ends.items() if ends.trouble and ends.trouble.again}
        if again and time.monotonic() < self.late:
            self.cluster.topics.expire()
            await self._learn(self.late)
            await self._ends_of({name: stable for name, stable in self._needed().items() if name in again})

    async def _read_pasts(self) -> None:
        """After all that a reading is for: it takes nothing away from that but what time is left."""
        pasts = self.cluster.pasts
        for one in pasts.newcomers(self.wanted):
            self.newcomers[one] = tuple(filter(self.cluster.topics.exists, self.names(one)))
        self.pasts = await pasts.read(self.newcomers, self.ends, self.late)

    def _needed(self) -> dict[str, bool]:
        """The distinct topics of the groups that can still be read; True where last stable offsets are needed."""
        needed: dict[str, bool] = {}
        for one in self.wanted:
            if isinstance(self.commits.get(one.group), Commits):
                stable = one.isolation is Isolation.READ_COMMITTED
                for name in self.names(one):
                    needed[name] = needed.get(name, False) or stable
        return needed

    async def _ends_of(self, needed: dict[str, bool]) -> None:
        topics = self._existing(needed)
        stable = [topic for topic in topics if needed[topic.name]]
        counted = self._counted_from_start()
        self.ends.update(
            await self.cluster.logs.read(topics, stable, [one for one in topics if one.name in counted], self.late)
        )

    def _counted_from_start(self) -> set[str]:
        """Topics of which some partition has no commit of a group that will begin at its first record."""
        return {
            topic.name
            for one in self.wanted
            if one.offset_reset is OffsetReset.EARLIEST and isinstance(found := self.commits.get(one.group), Commits)
            for topic in self._existing(self.names(one))
            if lacks_commit(found, topic)
        }
