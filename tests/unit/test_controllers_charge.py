"""What is remembered of a policy from cycle to cycle, as a time line."""

from typing import Any

import pytest

from tests.unit.controllers_world import DEPLOYMENTS, Watching, body, policy
from tidegate.api import Execution, LagPolicy, Metadata, PartitionProposal, PartitionProposalStatus, Reason
from tidegate.cluster.times import moment
from tidegate.cluster.workloads import Workload, not_found
from tidegate.controllers.charge import DESCRIBED_FOR, REFUSED_FOR, Charge, newest, observe
from tidegate.controllers.shelf import Name
from tidegate.controllers.world import PODS, POLICIES
from tidegate.engine import GroupState, Memory, Objection, Observation, Reading
from tidegate.engine.timing import Times

NOW = 1_800_000_000.0
READING = Reading({}, {}, NOW, NOW, GroupState.STABLE)


class Care:
    """A policy in care, its target and its pods."""

    def __init__(self, **parts: Any) -> None:
        self.watching = Watching()
        self.watching.see(POLICIES, policy(**parts))
        self.target(replicas=2, version=100)
        self.charge = Charge.taken_over(self.policy)

    @property
    def policy(self) -> LagPolicy:
        found = self.watching.world.policy(Name("shop", "points"))
        assert found
        return found

    def target(self, replicas: int, version: int, uid: str = "t") -> None:
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "points"}}}
        meta = {"resourceVersion": str(version)}
        self.watching.see(DEPLOYMENTS, body("points-consumer", uid=uid, spec=spec, metadata=meta))

    def pod(self, name: str, ready: bool) -> None:
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:05Z"}
        status = {"phase": "Running", "conditions": [condition]}
        self.watching.see(PODS, body(name, metadata={"labels": {"app": "points"}}, status=status))

    def look(self, now: float = NOW) -> Observation:
        found = self.watching.world.workload("shop", self.policy.spec.target_ref)
        target = found or not_found("shop", self.policy.spec.target_ref)
        return observe(self.watching.world, self.charge, self.policy, READING, target, now)

    def seen(self) -> Workload:
        found = self.watching.world.workload("shop", self.policy.spec.target_ref)
        assert found
        return found


@pytest.fixture
def care() -> Care:
    return Care()


def test_a_target_is_observed_with_its_pods(care: Care):
    care.pod("points-1", ready=True)
    care.pod("points-2", ready=False)
    observation = care.look()
    assert observation.objection is None
    assert observation.target
    assert (observation.target.replicas, observation.target.ready, len(observation.target.pods)) == (2, 1, 2)


def test_a_target_that_is_not_there_is_an_objection_until_it_is_back(care: Care):
    care.watching.see(DEPLOYMENTS, body("points-consumer", uid="t"), "DELETED")
    observation = care.look()
    assert observation.target is None
    assert observation.objection
    assert observation.objection.reason is Reason.TARGET_NOT_FOUND
    care.target(replicas=1, version=200, uid="another")
    observation = care.look()
    assert observation.objection is None
    assert observation.target
    assert observation.target.replicas == 1


def test_our_own_write_counts_before_the_watch_shows_it(care: Care):
    care.charge.wrote(Workload("t", 101, 5, ()))
    observation = care.look()
    assert observation.target
    assert observation.target.replicas == 5
    assert newest(care.seen(), care.charge).resource_version == 101
    care.target(replicas=5, version=101)
    care.target(replicas=3, version=102)  # somebody else, later
    observation = care.look()
    assert observation.target
    assert observation.target.replicas == 3


def test_our_write_to_a_target_that_was_made_anew_since_does_not_count(care: Care):
    care.charge.wrote(Workload("t", 101, 5, ()))
    care.target(replicas=1, version=90, uid="another")
    care.watching.world.shelves[DEPLOYMENTS.plural].drop(Name("shop", "points-consumer"), "t")
    care.target(replicas=1, version=102, uid="another")
    observation = care.look()
    assert observation.target
    assert observation.target.replicas == 1


def test_a_refused_write_objects_for_a_while_and_is_then_tried_again(care: Care):
    care.charge.refuse(Objection(Reason.FORBIDDEN, "may not"), NOW)
    assert care.look(NOW + 1).objection == Objection(Reason.FORBIDDEN, "may not")
    assert care.look(NOW + REFUSED_FOR).objection is None


def test_a_write_that_got_no_answer_is_tried_again_in_the_next_cycle(care: Care):
    care.charge.refuse(Objection(Reason.SCALE_FAILED, "no answer"), NOW)
    assert care.look(NOW + 1).objection is None


def test_a_write_that_went_well_ends_the_refusal(care: Care):
    care.charge.refuse(Objection(Reason.FORBIDDEN, "may not"), NOW)
    care.charge.wrote(Workload("t", 101, 5, ()))
    assert care.look(NOW + 1).objection is None


def test_the_annotation_pauses_before_anything_else_is_said():
    care = Care(metadata={"annotations": {"tidegate.dev/paused": "true"}})
    care.charge.refuse(Objection(Reason.FORBIDDEN, "may not"), NOW)
    observation = care.look()
    assert observation.objection
    assert observation.objection.reason is Reason.PAUSED
    care.watching.see(DEPLOYMENTS, body("points-consumer", uid="t"), "DELETED")
    assert care.look().objection == observation.objection


def test_the_group_is_described_until_it_is_stable_and_was_scaled_and_again_when_its_pods_change(care: Care):
    assert care.charge.describe(NOW)
    care.pod("points-1", ready=True)
    care.look(NOW)
    assert care.charge.describe(NOW)  # never scaled yet
    care.charge.wrote(Workload("t", 101, 5, ()))
    assert care.charge.describe(NOW + DESCRIBED_FOR - 1)
    assert not care.charge.describe(NOW + DESCRIBED_FOR)
    care.pod("points-2", ready=True)
    care.look(NOW + 100)
    assert care.charge.describe(NOW + 101)
    assert not care.charge.describe(NOW + 100 + DESCRIBED_FOR)
    care.charge.state = GroupState.REBALANCING
    assert care.charge.describe(NOW + 1000)


def test_a_policy_is_taken_over_with_what_was_learned():
    memory = Memory(times=Times(startups=(12.0,), joins=(3.0,)))
    care = Care(status={"memory": memory.dump()})
    assert care.charge.memory.times.startups == (12.0,)
    assert care.charge.memory.times.joins == (3.0,)


def test_a_memory_that_somebody_spoiled_is_an_empty_one():
    assert Care(status={"memory": "{not json"}).charge.memory == Memory()


def test_an_edit_of_the_source_keeps_what_was_learned_and_drops_the_history():
    care = Care(status={"memory": Memory(times=Times(startups=(12.0,))).dump()})
    care.charge.memory = care.charge.memory._replace(reset_at=NOW)  # stands for all that is volatile
    care.watching.see(POLICIES, policy(spec={"replicas": {"max": 9}}))
    care.charge.obey(care.policy.spec)
    assert care.charge.memory.reset_at == NOW
    source = {"kafka": {"connectionRef": {"name": "kafka"}, "group": "another"}}
    care.watching.see(POLICIES, policy(spec={"source": source}))
    care.charge.obey(care.policy.spec)
    assert care.charge.memory.reset_at is None
    assert care.charge.memory.times.startups == (12.0,)


def test_an_edit_ends_a_refusal(care: Care):
    care.charge.refuse(Objection(Reason.FORBIDDEN, "may not"), NOW)
    care.watching.see(POLICIES, policy(spec={"replicas": {"max": 9}}))
    care.charge.obey(care.policy.spec)
    assert care.look(NOW + 1).objection is None


def test_while_an_increase_is_under_way_nothing_else_scales_and_its_own_writes_are_nobodys_overwrite(care: Care):
    care.look()
    care.charge.wrote(care.seen())
    meta = {"name": "points-6-to-12", "namespace": "shop", "uid": "p"}
    care.charge.executing = PartitionProposal.model_construct(
        metadata=Metadata(**meta), status=PartitionProposalStatus(execution=Execution(step="Paused", since=moment(NOW)))
    )
    for version in range(101, 108):
        care.target(replicas=version % 2, version=version)
        observation = care.look()
        assert observation.objection
        assert observation.objection.reason is Reason.REPARTITIONING
        assert "points-6-to-12 is being carried out (step Paused)" in observation.objection.message
    care.charge.executing = None
    assert care.look().objection is None
    assert care.charge.contention.overwrites == ()
