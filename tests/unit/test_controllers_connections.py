"""What is shown of a connection, and what an outage is."""

from tidegate.api import BrokerConnectionStatus, Reason, Truth
from tidegate.cluster.conditions import find
from tidegate.cluster.events import About, EventType
from tidegate.controllers.connections import outage
from tidegate.controllers.findings import CONNECTED, connection_events, connection_status
from tidegate.engine import GroupState, Reading, ReadingError
from tidegate.sources import ConnectionInfo, WantedGroup

NOW = 1_800_000_000.0
ABOUT = About("BrokerConnection", "shop", "kafka", "uid")
INFO = ConnectionInfo("cluster-1", 3, "4.3 or later", ("ManyGroupsAtOnce", "GroupStates"))
DOWN = ReadingError(Reason.CONNECTION_FAILED, "127.0.0.1:9092: connection refused", NOW)
READING = Reading({}, {}, NOW, NOW, GroupState.STABLE)
EMPTY = BrokerConnectionStatus()


def test_a_broker_that_answers_is_connected_and_described():
    status = connection_status(EMPTY, INFO, 2, NOW)
    condition = find(status.conditions, CONNECTED)
    assert condition
    assert (condition.status, condition.reason) == (Truth.TRUE, Reason.CONNECTED)
    assert condition.message == "cluster cluster-1, 3 brokers, Kafka 4.3 or later"
    assert (status.cluster_id, status.brokers, status.kafka_version) == ("cluster-1", 3, "4.3 or later")
    assert (status.features, status.observed_generation) == (("GroupStates", "ManyGroupsAtOnce"), 2)


def test_an_outage_is_in_the_brokers_words_and_what_was_known_stays():
    status = connection_status(connection_status(EMPTY, INFO, 2, NOW), DOWN, 2, NOW + 60)
    condition = find(status.conditions, CONNECTED)
    assert condition
    assert (condition.status, condition.message) == (Truth.FALSE, DOWN.message)
    assert status.cluster_id == "cluster-1"


def told(before: BrokerConnectionStatus, after: BrokerConnectionStatus) -> list[tuple[EventType, Reason]]:
    return [(event.type, event.reason) for event in connection_events(ABOUT, before, after)]


def test_connecting_failing_and_coming_back_are_told_once_each():
    up = connection_status(EMPTY, INFO, 1, NOW)
    down = connection_status(up, DOWN, 1, NOW)
    assert told(EMPTY, up) == [(EventType.NORMAL, Reason.CONNECTED)]
    assert told(up, connection_status(up, INFO, 1, NOW + 60)) == []
    assert told(up, down) == [(EventType.WARNING, Reason.CONNECTION_FAILED)]
    assert told(down, connection_status(down, DOWN, 1, NOW + 5)) == []
    assert told(down, connection_status(down, INFO, 1, NOW + 10)) == [(EventType.NORMAL, Reason.CONNECTED)]


def test_another_cluster_behind_the_same_addresses_is_a_warning_that_names_both():
    up = connection_status(EMPTY, INFO, 1, NOW)
    moved = connection_status(up, ConnectionInfo("cluster-2", 3, "4.3 or later", ()), 1, NOW)
    [event] = connection_events(ABOUT, up, moved)
    assert (event.type, event.reason) == (EventType.WARNING, Reason.CLUSTER_CHANGED)
    assert "cluster-1" in event.message
    assert "cluster-2" in event.message


def test_it_is_an_outage_only_where_no_group_got_through():
    one, two = WantedGroup("one"), WantedGroup("two")
    failed = ReadingError(Reason.READING_FAILED, "topic gone", NOW)
    assert outage({one: DOWN, two: DOWN}) == DOWN
    assert outage({one: DOWN, two: READING}) is None
    assert outage({one: DOWN, two: failed}) is None
    assert outage({}) is None
