"""Scenes that do not disturb each other: they are played at the same time, each in its own namespace and topic."""

import json
from concurrent.futures import Future
from typing import Any

import pytest

from tests.e2e.operator_process import Operator
from tests.e2e.scene import NAME, Play, Scene
from tests.stack.cluster import crd
from tests.stack.featureflags import FEATURE_FLAGS, feature_flag
from tests.waiting import eventually


def a_surge_is_scaled_out_and_back_in_and_nothing_is_lost(scene: Scene) -> None:
    scene.deploy(rate=20)
    scene.promise(capacity={"recordsPerSecond": 20})
    scene.observed()
    scene.order((5, 6), (60, 20), (4, 90))  # three consumers' work for twenty seconds
    eventually(lambda: max(scene.scales) >= 3, seconds=40)
    eventually(lambda: scene.told("LagPolicy Surge: 1 → "))
    eventually(lambda: scene.replicas == 1 and scene.lag() < 20, seconds=80)
    eventually(lambda: scene.told("→ 1 replica: "))
    eventually(lambda: [change["to"] for change in scene.status["history"]] == scene.scales[1:])
    produced, committed = scene.broker.look()[1:]
    eventually(lambda: scene.broker.look().committed >= produced >= committed)


def a_policy_edited_under_pressure_is_obeyed(scene: Scene) -> None:
    scene.deploy(rate=20)
    scene.promise()
    scene.observed()
    scene.promise(replicas={"min": 3, "max": 6})
    eventually(lambda: scene.replicas == 3)
    scene.promise(replicas={"min": 1, "max": 2})
    eventually(lambda: scene.replicas == 2)
    assert scene.scales == [1, 3, 2]
    eventually(lambda: scene.status["observedGeneration"] == 3)


def a_behavior_is_obeyed_though_the_promise_breaks_and_lifted_by_an_edit(scene: Scene) -> None:
    scene.deploy(rate=20)
    one_more = {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 600}]}}
    scene.promise(behavior=one_more, capacity={"recordsPerSecond": 20})
    scene.observed()
    scene.backlog(3000)  # more than a minute for two, fifteen seconds are allowed
    eventually(lambda: scene.status["replicas"].get("limitedBy") == "Behavior")
    eventually(lambda: "spec.behavior makes it 2" in scene.condition("AtRisk").get("message", ""))
    eventually(lambda: scene.told("spec.behavior.scaleUp allows 1 more in 600 s, from 1"))
    eventually(lambda: '"past":' in scene.status["memory"], seconds=90)  # a restart would not begin a new period
    assert scene.scales == [1, 2]
    scene.promise(capacity={"recordsPerSecond": 20})
    eventually(lambda: scene.replicas > 2)


def a_policy_in_dry_run_or_paused_is_measured_and_not_scaled_until_it_is_active(scene: Scene) -> None:
    scene.deploy(rate=5)
    scene.promise(mode="DryRun")
    scene.observed()
    scene.backlog(600)  # two minutes for one replica, fifteen seconds are allowed
    eventually(lambda: scene.status["replicas"].get("desired", 0) > 1)
    assert scene.condition("Ready")["reason"] == "DryRun"

    scene.kubectl("annotate", "lagp", NAME, "tidegate.dev/paused=true")
    eventually(lambda: scene.reason == "Paused")
    assert scene.condition("Ready")["status"] == "False"
    assert scene.status["backlog"]["lag"] > 0  # still measured
    scene.promise(mode="Active")
    scene.stays(6, [1])  # the annotation goes before the mode
    scene.promise(mode="Paused")
    scene.kubectl("annotate", "lagp", NAME, "tidegate.dev/paused-")
    scene.stays(6, [1])
    assert scene.scales == [1]

    scene.promise(mode="Active")
    eventually(lambda: scene.replicas > 1, seconds=30)


def a_target_deleted_and_made_anew_is_scaled_again_with_what_was_learned(scene: Scene) -> None:
    scene.deploy(rate=20)
    scene.promise(replicas={"max": 1})
    scene.observed()
    scene.backlog(800)
    eventually(lambda: scene.status["capacity"].get("basis") == "Learned")
    learned = float(scene.status["capacity"]["perReplica"])

    scene.kubectl("delete", "deployment", NAME)
    eventually(lambda: scene.condition("Ready").get("reason") == "TargetNotFound")
    assert f"Deployment {NAME} (apps/v1) does not exist" in scene.condition("Ready")["message"]
    scene.deploy(rate=20)
    eventually(lambda: scene.condition("Ready").get("status") == "True")
    assert abs(float(scene.status["capacity"]["perReplica"]) - learned) < learned / 4
    scene.promise(replicas={"max": 6})
    scene.backlog(1000)
    eventually(lambda: scene.replicas > 1)


def two_policies_on_one_target_the_older_one_scales_and_the_other_says_so(scene: Scene) -> None:
    scene.deploy(rate=20)
    scene.promise()
    scene.observed()
    scene.promise("second", replicas={"min": 4, "max": 6})
    eventually(lambda: ready_of(scene.policy("second")).get("reason") == "TargetAlreadyManaged")
    assert f"older LagPolicy, {NAME}," in ready_of(scene.policy("second"))["message"]
    scene.stays(6, [1])
    assert scene.condition("Ready")["status"] == "True"

    scene.kubectl("delete", "lagp", NAME)
    eventually(lambda: scene.replicas == 4)
    eventually(lambda: ready_of(scene.policy("second")).get("status") == "True")


def a_target_with_an_hpa_is_left_to_it_until_it_is_gone(scene: Scene) -> None:
    scene.deploy(rate=5)
    hpa = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}, "maxReplicas": 2}
    scene.apply("autoscaling/v2", "HorizontalPodAutoscaler", "by-cpu", hpa)
    scene.promise()
    eventually(lambda: scene.condition("Ready").get("reason") == "TargetManagedByHPA")
    assert "by-cpu" in scene.condition("Ready")["message"]
    eventually(lambda: scene.told("LagPolicy TargetManagedByHPA"))
    scene.backlog(600)
    eventually(lambda: scene.status["backlog"].get("lag", 0) > 300)
    scene.stays(6, [1])

    scene.kubectl("delete", "hpa", "by-cpu")
    eventually(lambda: scene.replicas > 1)


def a_target_of_keda_is_left_to_it_until_it_is_gone(scene: Scene) -> None:
    scene.stack.apply(crd("scaledobjects", "ScaledObject", "keda.sh"))  # KEDA comes after Tidegate, as it may
    scene.stack.kubectl("wait", "crd/scaledobjects.keda.sh", "--for=condition=Established", "--timeout=180s")
    scene.deploy(rate=20)
    spec = {"scaleTargetRef": {"name": NAME}, "triggers": [{"type": "cron", "metadata": {}}]}
    scene.apply("keda.sh/v1alpha1", "ScaledObject", "by-time", spec)
    scene.promise(mode="Paused", replicas={"min": 2, "max": 6})
    eventually(lambda: scene.condition("Ready").get("reason") == "TargetManagedByKEDA")
    assert "by-time" in scene.condition("Ready")["message"]
    scene.promise(replicas={"min": 2, "max": 6})
    scene.stays(6, [1])

    scene.kubectl("delete", "scaledobject", "by-time")
    eventually(lambda: scene.replicas == 2)


def a_stateful_set_and_a_replica_set_are_scaled_as_a_deployment_is(scene: Scene) -> None:
    for kind in ("StatefulSet", "ReplicaSet"):
        name = f"a-{kind.lower()}"
        scene.deploy(rate=20, name=name, kind=kind)
        scene.promise(name, targetRef={"kind": kind, "name": name}, replicas={"min": 2, "max": 6})
    for kind in ("StatefulSet", "ReplicaSet"):
        wanted = ("get", f"{kind}/a-{kind.lower()}", "-o", "jsonpath={.spec.replicas}")
        eventually(lambda wanted=wanted: scene.kubectl(*wanted) == "2")
        eventually(lambda kind=kind: ready_of(scene.policy(f"a-{kind.lower()}")).get("status") == "True")


def a_policy_of_a_cluster_connection_is_served(scene: Scene) -> None:
    name = scene.namespace
    meta = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "ClusterBrokerConnection", "metadata": {"name": name}}
    scene.stack.apply({**meta, "spec": {"kafka": {"bootstrapServers": scene.bootstrap.split(",")}}})
    kafka = {"connectionRef": {"kind": "ClusterBrokerConnection", "name": name}, "group": scene.topic}
    try:
        scene.deploy(rate=20)
        scene.promise(source={"kafka": {**kafka, "topics": [scene.topic]}}, replicas={"min": 2, "max": 6})
        eventually(lambda: scene.replicas == 2)
        scene.observed()
        connected = ("get", "clusterbrokerconnection", name, "-o", "jsonpath={.status.conditions[0].status}")
        eventually(lambda: scene.kubectl(*connected) == "True")
    finally:
        scene.kubectl("delete", "clusterbrokerconnection", name, "--wait=false")


def a_feature_flag_of_the_openfeature_operator_is_switched_and_restored(scene: Scene) -> None:
    scene.stack.apply(FEATURE_FLAGS)
    scene.stack.kubectl("wait", f"crd/{FEATURE_FLAGS['metadata']['name']}", "--for=condition=Established")
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    made = feature_flag("flags", {"flags": {"receipts": flag}})
    made["metadata"]["namespace"] = scene.namespace
    scene.stack.apply(made)
    scene.deploy(rate=20)
    levels = [{"name": "NoReceipts", "flags": {"receipts": "off"}}]
    scene.promise(degradation={"flagsRef": {"kind": "FeatureFlag", "name": "flags"}, "levels": levels})
    scene.observed()

    def variant() -> str:
        where = "jsonpath={.spec.flagSpec.flags.receipts.defaultVariant}"
        return scene.kubectl("get", "featureflag", "flags", "-o", where)

    scene.kubectl("annotate", "lagp", NAME, "tidegate.dev/force-level=1; until=2100-01-01T00:00:00Z")
    eventually(lambda: variant() == "off")
    scene.kubectl("annotate", "lagp", NAME, "tidegate.dev/force-level-")
    eventually(lambda: variant() == "on")


def a_policy_whose_connection_does_not_exist_yet_starts_when_it_does(scene: Scene) -> None:
    scene.kubectl("delete", "bconn", "kafka")
    scene.deploy(rate=20)
    scene.promise(replicas={"min": 2, "max": 6})
    eventually(lambda: scene.reason == "ConnectionNotFound")
    assert f"BrokerConnection {scene.namespace}/kafka does not exist" in scene.condition("Ready")["message"]
    scene.stays(4, [1])
    scene.connect()
    eventually(lambda: scene.replicas == 2)
    scene.observed()


def a_password_that_changes_is_taken_up_and_a_wrong_one_is_told_in_the_brokers_words(scene: Scene) -> None:
    kafka = scene.stack.kafka
    assert kafka
    user, password = next(iter(kafka.users.items()))

    def secret(password: str) -> None:
        scene.stack.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "kafka-user", "namespace": scene.namespace},
                "stringData": {"username": user, "password": password},
            }
        )

    def reference(key: str) -> dict[str, Any]:
        return {"secretKeyRef": {"name": "kafka-user", "key": key}}

    def connected() -> dict[str, Any]:
        found = json.loads(scene.kubectl("get", "bconn", "by-password", "-o", "json"))
        return next(iter(found.get("status", {}).get("conditions", ())), {})

    secret(password)
    credentials = {"username": reference("username"), "password": reference("password")}
    spec = {
        "bootstrapServers": kafka.listeners["SASL_PLAINTEXT"].split(","),
        "sasl": {"mechanism": "SCRAM-SHA-512", "credentials": credentials},
    }
    scene.apply("tidegate.dev/v1alpha1", "BrokerConnection", "by-password", {"kafka": spec})
    eventually(lambda: connected().get("status") == "True")
    secret("not the password")
    eventually(lambda: connected()["status"] == "False")
    assert connected()["reason"] == "ConnectionFailed"
    assert "not the password" not in connected()["message"]
    secret(password)
    eventually(lambda: connected()["status"] == "True")


PLAYS: tuple[Play, ...] = (
    a_surge_is_scaled_out_and_back_in_and_nothing_is_lost,
    a_policy_edited_under_pressure_is_obeyed,
    a_behavior_is_obeyed_though_the_promise_breaks_and_lifted_by_an_edit,
    a_policy_in_dry_run_or_paused_is_measured_and_not_scaled_until_it_is_active,
    a_target_deleted_and_made_anew_is_scaled_again_with_what_was_learned,
    two_policies_on_one_target_the_older_one_scales_and_the_other_says_so,
    a_target_with_an_hpa_is_left_to_it_until_it_is_gone,
    a_target_of_keda_is_left_to_it_until_it_is_gone,
    a_stateful_set_and_a_replica_set_are_scaled_as_a_deployment_is,
    a_policy_of_a_cluster_connection_is_served,
    a_feature_flag_of_the_openfeature_operator_is_switched_and_restored,
    a_policy_whose_connection_does_not_exist_yet_starts_when_it_does,
    a_password_that_changes_is_taken_up_and_a_wrong_one_is_told_in_the_brokers_words,
)


def ready_of(status: dict[str, Any]) -> dict[str, Any]:
    return next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), {})


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_scene(play: Play, playing: dict[str, Future[None]], operator: Operator) -> None:
    playing[play.__name__].result()
    assert operator.running
