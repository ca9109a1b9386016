"""`/metrics` as a scraper sees it: values are the status's, absent is never zero, and series go with their object."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.controllers_world import KAFKA, MIRROR, Watching, body, policy
from tidegate.api import LagPolicy, Reason
from tidegate.cluster.fence import Alone
from tidegate.cluster.judgement import Outcome
from tidegate.cluster.scaling import Scaled
from tidegate.cluster.workloads import Workload
from tidegate.controllers.charge import Charge
from tidegate.controllers.metrics import (
    CONNECTION_METRICS,
    POLICY_METRICS,
    PROCESS_METRICS,
    Meters,
    PolicyMetrics,
    ProcessMetrics,
)
from tidegate.controllers.metrics import metrics_route as route
from tidegate.controllers.shelf import Name
from tidegate.controllers.world import POLICIES, PROPOSALS
from tidegate.engine import Decision, GroupState, Reading, ReadingError
from tidegate.engine.decision import Backlog
from tidegate.engine.observation import Objection, Observation, Target

NOW = 1_800_000_000.0
READING = Reading({}, {}, NOW, NOW + 1, GroupState.STABLE)
FAILED = ReadingError(Reason.CONNECTION_FAILED, "away", NOW)
STATUS: dict[str, Any] = {
    "conditions": [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": "",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-24T14:00:00Z",
        }
        for kind, status, reason in (("AtRisk", "True", "PromiseBroken"), ("Observing", "Unknown", "Pending"))
    ],
    "backlog": {"lag": 900, "age": "1m15s", "arrivalRate": "118.5"},
    "capacity": {"perReplica": "60", "basis": "Learned", "startup": "12s"},
    "replicas": {"current": 3, "ready": 2, "need": 9, "desired": 8, "limitedBy": "MaxReplicas", "copesWithJump": "0.9"},
    "partitions": {"count": 12, "ceiling": 12},
    "degradation": {"level": 1, "degradedSince": "2026-11-24T14:00:00Z"},
}

Scrape = dict[tuple[str, tuple[tuple[str, str], ...]], float]

ALONE = Alone()


class Scraped:
    """A world and what a scrape of it shows."""

    def __init__(self, leads: Callable[[], bool] = ALONE.may_act) -> None:
        self.watching, self.charges = Watching(), dict[str, Charge]()
        self.registry = CollectorRegistry()
        self.registry.register(PolicyMetrics(self.watching.world, self.charges, leads))

    def policy(self, name: str, **parts: Any) -> LagPolicy:
        self.watching.see(POLICIES, policy(name, **parts))
        found = self.watching.world.policy(Name("shop", name))
        assert found
        return found

    def charge(self, name: str, **parts: Any) -> Charge:
        seen = self.policy(name, **parts)
        self.charges[seen.metadata.uid] = taken = Charge.taken_over(seen)
        return taken

    def of(self, name: str) -> dict[str, float]:
        """Values by metric of one policy; labels beside namespace and policy stand in braces, in their order."""
        found = {}
        for family in self.registry.collect():
            for sample in family.samples:
                labels = dict(sample.labels)
                if (labels.pop("namespace"), labels.pop("policy")) == ("shop", name):
                    found[sample.name + "".join(f"{{{value}}}" for value in labels.values())] = sample.value
        return found


def outcome(policy: LagPolicy, decision: Decision, reading: Any = READING, scaled: Any = None) -> Outcome:
    return Outcome(policy, Observation(reading, Target(3, ())), decision, NOW, scaled)


# Policies


def test_the_values_are_those_of_the_status_and_what_is_not_known_has_no_series():
    scraped = Scraped()
    scraped.charge("points", status=STATUS)
    shown = scraped.of("points")
    assert shown.pop("tidegate_policy_info{Deployment}{points-consumer}{BrokerConnection}{kafka}{points}{Active}") == 1
    assert shown == {
        "tidegate_promise_seconds": 60,
        "tidegate_age_seconds": 75,
        "tidegate_lag_records": 900,
        "tidegate_arrival_records_per_second": 118.5,
        "tidegate_lost_records_total": 0,
        "tidegate_replica_capacity_records_per_second": 60,
        "tidegate_startup_seconds": 12,
        "tidegate_need_replicas": 9,
        "tidegate_desired_replicas": 8,
        "tidegate_current_replicas": 3,
        "tidegate_ready_replicas": 2,
        "tidegate_min_replicas": 1,
        "tidegate_max_replicas": 8,
        "tidegate_copes_with_jump_ratio": 0.9,
        "tidegate_partitions": 12,
        "tidegate_ceiling_replicas": 12,
        "tidegate_hot_partitions": 0,
        "tidegate_degradation_level": 1,
        "tidegate_degraded_since_timestamp_seconds": 1795528800,
        "tidegate_condition{AtRisk}{True}{PromiseBroken}": 1,
        "tidegate_condition{Observing}{Unknown}{Pending}": 1,
        "tidegate_scalings_total{out}": 0,
        "tidegate_scalings_total{in}": 0,
    }


def test_a_policy_in_care_shows_what_was_seen_last_not_what_was_written_last():
    scraped = Scraped()
    charge = scraped.charge("points", status=STATUS)
    charge.status = charge.status.model_copy(
        update={"replicas": charge.status.replicas.model_copy(update={"ready": 3})}
    )
    assert scraped.of("points")["tidegate_ready_replicas"] == 3


def test_a_policy_before_its_first_cycle_shows_what_the_last_process_has_written():
    scraped = Scraped()
    scraped.policy("points", status=STATUS)
    assert scraped.of("points")["tidegate_lag_records"] == 900


def test_a_policy_without_a_ladder_has_no_level():
    scraped = Scraped()
    scraped.charge("points")
    assert not [name for name in scraped.of("points") if "degrad" in name]


def test_decisions_scalings_and_losses_are_counted_and_the_last_whole_reading_is_kept():
    scraped = Scraped()
    charge = scraped.charge("points")
    more, fewer = (Scaled(Workload("t", 2, replicas, ()), written=True) for replicas in (5, 1))
    surge = Decision(5, Reason.SURGE, "", backlog=Backlog(lost=7))
    forbidden = Objection(Reason.FORBIDDEN, "no")
    for decision, reading, scaled in (
        (surge, READING, more),
        (surge, READING, replace(more, written=False)),
        (Decision(1, Reason.DRAINED, ""), READING, fewer),
        (Decision(1, Reason.DRAINED, ""), READING, forbidden),
        (Decision(None, Reason.READING_FAILED, ""), FAILED, None),
    ):
        charge.tally.count(outcome(scraped.policy("points"), decision, reading, scaled))
    shown = scraped.of("points")
    assert {name: shown[name] for name in shown if "decisions" in name} == {
        "tidegate_decisions_total{Surge}": 2,
        "tidegate_decisions_total{Drained}": 1,
        "tidegate_decisions_total{Forbidden}": 1,
        "tidegate_decisions_total{ReadingFailed}": 1,
    }
    assert (shown["tidegate_scalings_total{out}"], shown["tidegate_scalings_total{in}"]) == (1, 1)
    assert shown["tidegate_lost_records_total"] == 14
    assert shown["tidegate_last_success_timestamp_seconds"] == NOW + 1


def proposal(name: str, status: dict[str, Any]) -> dict[str, Any]:
    evidence = {
        "time": "2026-11-24T14:00:00Z",
        "cluster": "c",
        "topicId": "i",
        "group": "g",
        "arrivalRate": "1",
        "lookedBack": "4h",
        "perReplica": "1",
        "boundFor": "15m",
        "need": 9,
        "ceiling": 4,
        "ceilingAfter": 12,
        "pause": "30s",
        "message": "",
    }
    spec = {"policy": "points", "topic": "t", "from": 4, "to": 12, "evidence": evidence}
    return body(name, kind="PartitionProposal", spec={**spec, "expires": "2026-11-25T14:00:00Z"}, status=status)


def test_proposals_are_counted_by_state():
    scraped = Scraped()
    scraped.policy("points")
    for name, status in (("a", {"state": "Applied"}), ("b", {"state": "Applied"}), ("c", {})):
        scraped.watching.see(PROPOSALS, proposal(name, status))
    shown = scraped.of("points")
    assert (shown["tidegate_proposals{Applied}"], shown["tidegate_proposals{Pending}"]) == (2, 1)
    scraped.watching.see(PROPOSALS, proposal("c", {}), "DELETED")
    assert "tidegate_proposals{Pending}" not in scraped.of("points")


def test_series_vanish_with_the_policy():
    scraped = Scraped()
    scraped.charge("points", status=STATUS)
    scraped.charge("others", status=STATUS)
    scraped.watching.see(POLICIES, policy("points"), "DELETED")
    assert scraped.of("points") == {}
    assert scraped.of("others")


def test_a_standby_tells_of_no_policy_until_it_acts():
    leads = [False]
    scraped = Scraped(lambda: leads[0])
    scraped.charge("points", status=STATUS)
    assert scraped.of("points") == {}
    leads[0] = True
    assert scraped.of("points")["tidegate_lag_records"] == 900


# Connections and the process


def meters_of(meters: Meters) -> dict[str, float]:
    names = {definition.name.removesuffix("_total") for definition in CONNECTION_METRICS}
    return {
        sample.name + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in meters.registry.collect()
        if family.name in names
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created", "_sum"))
    }


def test_a_cycle_counts_each_reason_once_however_many_groups_have_it():
    meters = Meters()
    forbidden = ReadingError(Reason.FORBIDDEN, "no", NOW)
    meters.read(KAFKA, 0.2, (READING, forbidden, forbidden), None)
    meters.read(KAFKA, 0.2, (FAILED, FAILED), FAILED)
    assert meters_of(meters) == {
        "tidegate_connection_up{BrokerConnection}{shop}{kafka}": 0,
        "tidegate_reading_duration_seconds_count{BrokerConnection}{shop}{kafka}": 2,
        "tidegate_broker_errors_total{BrokerConnection}{shop}{kafka}{Forbidden}": 1,
        "tidegate_broker_errors_total{BrokerConnection}{shop}{kafka}{ConnectionFailed}": 1,
    }


def test_a_connection_that_nobody_uses_is_up_or_not_and_has_no_durations():
    meters = Meters()
    meters.read(KAFKA, 0.0, (), None)
    assert meters_of(meters) == {"tidegate_connection_up{BrokerConnection}{shop}{kafka}": 1}


def test_series_vanish_with_the_connection():
    meters = Meters()
    for key in (KAFKA, MIRROR):
        meters.read(key, 0.2, (FAILED,), FAILED)
    meters.forget(KAFKA)
    assert {name for name in meters_of(meters) if "{BrokerConnection}" in name} == set()
    assert len(meters_of(meters)) == 3


@pytest.mark.parametrize("leads", [True, False])
def test_the_process_says_whether_it_acts_and_what_became_of_its_writes(leads: bool):
    registry = CollectorRegistry()
    registry.register(ProcessMetrics(lambda: leads, {"written": 5, "failed": 1}, lambda: 3))
    assert registry.get_sample_value("tidegate_leader") == leads
    assert registry.get_sample_value("tidegate_status_writes_waiting") == 3
    assert registry.get_sample_value("tidegate_status_writes_total", {"result": "written"}) == 5


# The answer


async def test_what_is_served_is_what_is_defined_in_both_formats():
    scraped, meters = Scraped(), Meters()
    scraped.charge("points", status=STATUS)
    meters.registry.register(PolicyMetrics(scraped.watching.world, scraped.charges, ALONE.may_act))
    meters.registry.register(ProcessMetrics(ALONE.may_act, {"written": 5}, lambda: 0))
    app = web.Application()
    app.add_routes([route(meters.registry)])
    async with TestClient(TestServer(app)) as client:
        plain = await client.get("/metrics")
        open_metrics = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert (plain.content_type, open_metrics.content_type) == ("text/plain", "application/openmetrics-text")
        families = list(text_string_to_metric_families(await plain.text()))
    served = {family.name: family.documentation for family in families if family.name.startswith("tidegate_")}
    assert served == {
        d.name.removesuffix("_total"): d.help for d in (*POLICY_METRICS, *CONNECTION_METRICS, *PROCESS_METRICS)
    }
