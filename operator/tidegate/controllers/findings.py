"""The status of a connection from what was found behind it, and the guard that notices when that is another cluster."""

import logging

from tidegate.api import BrokerConnectionStatus, Reason, Truth
from tidegate.cluster.conditions import condition, find, set_condition
from tidegate.cluster.events import About, Event, EventType
from tidegate.controllers.services import Services
from tidegate.controllers.world import Connection, name_of
from tidegate.engine.observation import ReadingError
from tidegate.sources import ConnectionInfo

logger = logging.getLogger(__name__)

CONNECTED = "Connected"

Found = ConnectionInfo | ReadingError


def connection_status(old: BrokerConnectionStatus, found: Found, generation: int, now: float) -> BrokerConnectionStatus:
    """What to show now. Where the broker cannot be reached, what was known of it stays: it is probably still true."""
    if isinstance(found, ReadingError):
        new = condition(CONNECTED, False, found.reason, found.message, generation, now)
        known = old
    else:
        brokers = f"{found.brokers} broker{'s' if found.brokers != 1 else ''}"
        message = f"cluster {found.cluster_id}, {brokers}, Kafka {found.kafka_version}"
        new = condition(CONNECTED, True, Reason.CONNECTED, message, generation, now)
        known = BrokerConnectionStatus(
            cluster_id=found.cluster_id,
            brokers=found.brokers,
            kafka_version=found.kafka_version,
            features=tuple(sorted(found.features)),
        )
    conditions = set_condition(old.conditions, new)
    return known.model_copy(update={"observed_generation": generation, "conditions": conditions})


def connection_events(about: About, before: BrokerConnectionStatus, after: BrokerConnectionStatus) -> tuple[Event, ...]:
    """What to tell: that it works or does not, and that the same addresses lead to another cluster than before."""
    was, now = find(before.conditions, CONNECTED), find(after.conditions, CONNECTED)
    events: list[Event] = []
    if now and (was is None or (was.status, was.reason) != (now.status, now.reason)):
        kind = EventType.NORMAL if now.status is Truth.TRUE else EventType.WARNING
        events.append(Event(about, kind, Reason(now.reason), now.message, dedupe_key=CONNECTED))
    if before.cluster_id and after.cluster_id != before.cluster_id:
        message = (
            f"these bootstrap servers lead to cluster {after.cluster_id} now, before it was {before.cluster_id}:"
            " offsets start anew, and policies hold until they have seen enough"
        )
        events.append(Event(about, EventType.WARNING, Reason.CLUSTER_CHANGED, message, dedupe_key=after.cluster_id))
    return tuple(events)


def report_connection(
    services: Services, before: BrokerConnectionStatus, connection: Connection, found: Found
) -> BrokerConnectionStatus:
    """Status, Events and a log line; gives the status that is shown from now on."""
    after = connection_status(before, found, connection.metadata.generation, services.clock())
    services.statuses.offer(connection, after)
    events = connection_events(About.resource(connection), before, after)
    services.recorder.tell(*events)
    for event in events:
        about = f"{connection.kind} {name_of(connection)}"
        level = logging.INFO if event.type is EventType.NORMAL else logging.WARNING
        logger.log(level, "%s %s: %s", about, event.reason, event.message, extra={"about": {"connection": about}})
    return after
