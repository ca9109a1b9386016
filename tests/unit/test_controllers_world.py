"""The world as the watches show it, event by event."""

import pytest

from tests.unit.controllers_world import DEPLOYMENTS, HPAS, KAFKA, MIRROR, SCALED_OBJECTS, Watching, body, policy
from tidegate.api import BrokerConnection, ConnectionKind, LagPolicy, Reason, TargetRef
from tidegate.cluster.conflicts import objection
from tidegate.controllers.shelf import Name
from tidegate.controllers.world import CONNECTIONS, PODS, POLICIES


@pytest.fixture
def watching() -> Watching:
    return Watching()


def names(policies: list[LagPolicy]) -> list[str]:
    return [policy.metadata.name for policy in policies]


def test_a_policy_is_found_by_the_connection_it_reads_through(watching: Watching):
    watching.see(POLICIES, policy("b"))
    watching.see(POLICIES, policy("a"))
    watching.see(POLICIES, policy("c", connection={"kind": "ClusterBrokerConnection", "name": "kafka"}))
    assert names(watching.world.policies_of(KAFKA)) == ["a", "b"]
    assert names(watching.world.policies_of(MIRROR)) == ["c"]
    assert watching.world.connection_keys() == {KAFKA, MIRROR}


def test_an_edit_wakes_its_connection_and_our_own_status_does_not(watching: Watching):
    watching.see(POLICIES, policy())
    assert watching.drain() == [KAFKA]
    watching.see(POLICIES, policy(status={"observedGeneration": 1}))
    assert watching.drain() == []
    watching.see(POLICIES, policy(spec={"replicas": {"max": 9}}))
    assert watching.drain() == [KAFKA]
    watching.see(
        POLICIES, policy(spec={"replicas": {"max": 9}}, metadata={"annotations": {"tidegate.dev/paused": "true"}})
    )
    assert watching.drain() == [KAFKA]


def test_a_policy_that_moves_to_another_connection_wakes_both(watching: Watching):
    watching.see(POLICIES, policy())
    watching.drain()
    watching.see(POLICIES, policy(connection={"kind": "ClusterBrokerConnection", "name": "kafka"}))
    assert set(watching.drain()) == {KAFKA, MIRROR}
    assert watching.world.policies_of(KAFKA) == []
    assert watching.gone == []


def test_a_deleted_policy_is_forgotten_and_told(watching: Watching):
    watching.see(POLICIES, policy())
    watching.see(POLICIES, policy(), "DELETED")
    assert watching.gone == ["points"]
    assert watching.world.connection_keys() == set()
    assert watching.world.claims == {}


def test_a_policy_made_anew_under_its_name_is_another_one(watching: Watching):
    watching.see(POLICIES, policy())
    watching.see(POLICIES, policy(metadata={"uid": "another"}))
    assert watching.gone == ["points"]
    assert names(watching.world.policies_of(KAFKA)) == ["points"]


def test_a_policy_on_its_way_out_is_not_tended_any_more(watching: Watching):
    watching.see(POLICIES, policy(metadata={"deletionTimestamp": "2026-01-01T00:00:01Z"}))
    assert watching.world.policies_of(KAFKA) == []


def test_a_policy_that_cannot_be_read_is_not_obeyed_as_it_was_before(watching: Watching):
    watching.see(POLICIES, policy())
    watching.see(POLICIES, policy(spec={"replicas": {"max": "many"}}))
    assert watching.world.policies_of(KAFKA) == []


def test_a_connection_wakes_its_loop_when_its_spec_changes_and_when_it_goes(watching: Watching):
    connections = CONNECTIONS[ConnectionKind.BROKER_CONNECTION]
    seen = body("kafka", kind="BrokerConnection", spec={"kafka": {"bootstrapServers": ["a:9092"]}})
    watching.see(connections, seen)
    assert watching.drain() == [KAFKA]
    watching.see(connections, {**seen, "status": {"brokers": 3}})
    assert watching.drain() == []
    found = watching.world.connection(KAFKA)
    assert isinstance(found, BrokerConnection)
    watching.see(connections, seen, "DELETED")
    assert (watching.drain(), watching.gone) == ([KAFKA], ["kafka"])
    assert watching.world.connection(KAFKA) is None


def test_claims_come_and_go_with_their_owners(watching: Watching):
    watching.see(POLICIES, policy("older", created="2026-01-01T00:00:00Z"))
    watching.see(POLICIES, policy("newer", created="2026-01-02T00:00:00Z"))

    def why(name: str) -> Reason | None:
        claim = watching.world.claim(Name("shop", name))
        assert claim
        found = objection(claim, watching.world.claims)
        return found.reason if found else None

    assert (why("older"), why("newer")) == (None, Reason.TARGET_ALREADY_MANAGED)

    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "points-consumer"}
    hpa = body("web", kind="HorizontalPodAutoscaler", spec={"scaleTargetRef": ref})
    watching.see(HPAS, hpa)
    assert why("older") is Reason.TARGET_MANAGED_BY_HPA
    scaled = body("keda", kind="ScaledObject", spec={"scaleTargetRef": {"name": "points-consumer"}})
    watching.see(SCALED_OBJECTS, scaled)
    assert why("older") is Reason.TARGET_MANAGED_BY_KEDA

    watching.see(SCALED_OBJECTS, scaled, "DELETED")
    watching.see(HPAS, {**hpa, "spec": {"scaleTargetRef": {**ref, "name": "another"}}})
    watching.see(POLICIES, policy("older"), "DELETED")
    assert why("newer") is None


def test_pods_are_found_by_their_workloads_selector_while_they_count(watching: Watching):
    labels = {"app": "points", "pod-template-hash": "abc"}
    workload = body("points-consumer", spec={"replicas": 2, "selector": {"matchLabels": {"app": "points"}}})
    watching.see(DEPLOYMENTS, workload)
    watching.see(PODS, body("points-1", metadata={"labels": labels}, status={"phase": "Running"}))
    watching.see(PODS, body("other-1", metadata={"labels": {"app": "other"}}, status={"phase": "Running"}))
    found = watching.world.workload("shop", TargetRef(name="points-consumer"))
    assert found
    assert [pod.name for pod in watching.world.pods("shop", found.selector)] == ["points-1"]
    watching.see(PODS, body("points-1", metadata={"labels": labels}, status={"phase": "Failed"}))
    assert watching.world.pods("shop", found.selector) == ()


def test_a_stateful_pod_made_anew_outlives_the_end_of_its_predecessor(watching: Watching):
    selector = {"matchLabels": {"app": "points"}}
    watching.see(DEPLOYMENTS, body("points-consumer", spec={"selector": selector}))
    old = body("points-0", uid="old", metadata={"labels": {"app": "points"}})
    watching.see(PODS, old)
    watching.see(PODS, body("points-0", uid="new", metadata={"labels": {"app": "points"}}))
    watching.see(PODS, old, "DELETED")
    found = watching.world.workload("shop", TargetRef(name="points-consumer"))
    assert found
    assert len(watching.world.pods("shop", found.selector)) == 1


def test_only_deployments_and_statefulsets_are_watched(watching: Watching):
    assert watching.world.watches(TargetRef(kind="StatefulSet", name="a"))
    assert not watching.world.watches(TargetRef(api_version="argoproj.io/v1alpha1", kind="Rollout", name="a"))


def test_what_a_roll_call_does_not_find_any_more_is_forgotten(watching: Watching):
    watching.see(POLICIES, policy("stays"))
    watching.see(POLICIES, policy("left"))
    watching.now = 10
    there = {"stays": Name("shop", "stays"), "new": Name("shop", "new")}
    [(name, uid)] = watching.world.departed(POLICIES.plural, there, since=5)
    watching.world.forget(POLICIES.plural, name, uid)
    assert names(watching.world.policies_of(KAFKA)) == ["stays"]
    assert watching.gone == ["left"]
    assert watching.world.missing(POLICIES.plural, there) == {"new"}


def test_the_status_of_a_policy_in_care_is_not_kept_twice(watching: Watching):
    status = {"observedGeneration": 3}
    watching.see(POLICIES, policy(status=status))
    seen = watching.world.policy(Name("shop", "points"))
    assert seen
    assert seen.status.observed_generation == 3  # what the last process left, for whoever takes over
    watching.world.adopt(seen)
    for _ in range(2):
        kept = watching.world.policy(Name("shop", "points"))
        assert kept
        assert kept.status.observed_generation == 0
        watching.see(POLICIES, policy(status=status))
    watching.see(POLICIES, policy(), "DELETED")
    watching.see(POLICIES, policy(status=status, metadata={"uid": "another"}))
    another = watching.world.policy(Name("shop", "points"))
    assert another
    assert another.status.observed_generation == 3
