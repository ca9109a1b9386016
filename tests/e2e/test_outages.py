"""What goes away in the middle of a surge: the broker, the operator itself."""

import time

from tests.e2e.operator_process import Operator
from tests.e2e.scene import Scene
from tests.waiting import eventually

OUTAGE = 60.0


def test_a_broker_that_is_away_for_a_minute_moves_nothing_and_scaling_goes_on_when_it_is_back(
    operator: Operator, scene: Scene
):
    kafka = scene.stack.kafka
    assert kafka
    scene.connect()
    scene.deploy(rate=20)
    scene.promise()
    scene.observed()
    scene.order((10, 10), (50, 150))
    eventually(lambda: scene.replicas > 1)
    eventually(lambda: scene.ready == scene.replicas)

    kafka.stop()
    began = time.monotonic()
    try:
        eventually(lambda: scene.condition("Observing").get("status") == "False")
        # what was decided on the last good reading may still have been written while the broker was stopping
        stood = scene.scales
        assert scene.condition("Observing")["reason"] == "ConnectionFailed"
        assert scene.condition("Ready")["message"].startswith(scene.condition("Observing")["message"])
        assert "refused" in scene.condition("Observing")["message"]
        assert scene.reason == "ConnectionFailed"
        scene.stays(OUTAGE - (time.monotonic() - began), stood)
        assert operator.ask("/healthz")[0] == 200  # a broker that is away is no reason to restart
        connected = scene.kubectl("get", "bconn", "kafka", "-o", "jsonpath={.status.conditions[0].status}")
        assert connected == "False"
    finally:
        kafka.start()
    eventually(lambda: scene.condition("Observing").get("status") == "True")
    scene.backlog(2500)  # beyond what the replicas of before can do in time
    eventually(lambda: scene.replicas > stood[-1])
    connected = scene.kubectl("get", "bconn", "kafka", "-o", "jsonpath={.status.conditions[0].status}")
    assert connected == "True"


def test_an_operator_killed_in_a_surge_goes_on_with_what_it_had_learned_and_scales_nothing_in(
    operator: Operator, scene: Scene
):
    scene.connect()
    scene.deploy(rate=20)
    scene.promise(replicas={"max": 1})
    scene.observed()
    scene.order((60, 150))
    eventually(lambda: scene.status["capacity"].get("basis") == "Learned")
    scene.promise(replicas={"max": 3})
    eventually(lambda: scene.replicas == 3)
    eventually(lambda: scene.ready == 3)
    known = float(scene.status["capacity"]["perReplica"])

    operator.kill()
    told = len(scene.scales)
    try:
        scene.stays(3, scene.scales)
    finally:
        operator.start()
    taken_over = time.time()
    eventually(lambda: written_since(scene, taken_over))
    assert scene.status["capacity"]["basis"] == "Learned"
    assert abs(float(scene.status["capacity"]["perReplica"]) - known) < known / 4
    scene.promise(replicas={"max": 6})
    scene.backlog(2500)
    eventually(lambda: scene.replicas > 3)  # it does not only hold
    assert min(scene.scales[told - 1 :]) >= 3
    assert scene.status["history"][0]["from"] == 1  # the history goes on, too


def written_since(scene: Scene, moment: float) -> bool:
    """Whether the status is of this moment or later: managedFields tell when it was written."""
    owners = scene.cluster.policy["metadata"].get("managedFields", ())
    times = [owner["time"] for owner in owners if owner["manager"] == "tidegate"]
    return any(time.mktime(time.strptime(at, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone >= moment - 1 for at in times)
