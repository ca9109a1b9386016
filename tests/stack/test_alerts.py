"""The chart's alerts by promtool: each fires when it should, says whom it concerns, and is silent when all is well."""

import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "charts/tidegate/files/alerts.yaml"
ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
POINTS = {"namespace": "shop", "policy": "points"}
POD, OTHER = 'pod="tidegate-a"', 'pod="tidegate-b"'
JOB = 'namespace="tidegate-system",job="tidegate"'
KAFKA = {"kind": "BrokerConnection", "namespace": "shop", "connection": "kafka"}
DAY = 24 * 60


def condition(kind: str, status: str, reason: str, pod: str = POD) -> str:
    about = 'namespace="shop",policy="points"'
    return f'tidegate_condition{{{about},condition="{kind}",status="{status}",reason="{reason}",{pod}}}'


READY, OBSERVED = condition("Ready", "True", "Ready"), condition("Observing", "True", "Observed")
LATE, SCRAPED = condition("AtRisk", "True", "PromiseBroken"), 'namespace="shop",policy="points",pod="tidegate-a"'
WELL = {  # a sample each minute, for a day and an hour
    READY: "1x1500",
    OBSERVED: "1x1500",
    condition("AtRisk", "False", "PromiseKept"): "1x1500",
    condition("PartitionBound", "False", "WithinLimits"): "1x1500",
    condition("Degraded", "False", "FeaturesOn"): "1x1500",
    f"tidegate_last_success_timestamp_seconds{{{SCRAPED}}}": "0+60x1500",
    f"tidegate_lost_records_total{{{SCRAPED}}}": "0x1500",
    'tidegate_connection_up{kind="BrokerConnection",namespace="shop",connection="kafka",pod="tidegate-a"}': "1x1500",
    'tidegate_connection_up{kind="BrokerConnection",namespace="shop",connection="kafka",pod="tidegate-b"}': "1x1500",
    f'tidegate_build_info{{{JOB},version="1",{POD}}}': "1x1500",
    f'tidegate_build_info{{{JOB},version="1",{OTHER}}}': "1x1500",
    f"tidegate_leader{{{JOB},{POD}}}": "1x1500",
    f"tidegate_leader{{{JOB},{OTHER}}}": "0x1500",
}
"""Two replicas, one policy, and nothing that anybody has to know."""

UP = [series for series in WELL if series.startswith("tidegate_connection_up")]
BUILDS = [series for series in WELL if series.startswith("tidegate_build_info")]
LEADS, STANDS_BY = (f"tidegate_leader{{{JOB},{pod}}}" for pod in (POD, OTHER))


class Story(NamedTuple):
    """What differs from the days when all is well (None: no such series), and at which minutes the alert fires."""

    title: str
    alert: str
    series: dict[str, str | None]
    firing: tuple[int, ...]
    silent: tuple[int, ...]
    labels: dict[str, str] = POINTS
    value: str = ""


STORIES = (
    Story(
        "late for two minutes, and no more",
        "TidegatePromiseBroken",
        {LATE: "_x10 1x10 stale"},
        firing=(12, 20),
        silent=(5, 10, 11, 23, 24),
    ),
    Story("late for a moment", "TidegatePromiseBroken", {LATE: "_x10 1x1 stale"}, (), (10, 11, 12, 13)),
    Story(
        "another replica takes over while records are late",
        "TidegatePromiseBroken",
        {LATE: "_x10 1x10 stale", condition("AtRisk", "True", "PromiseBroken", OTHER): "_x23 1x10"},
        firing=(13, 20, 21, 22, 23, 24, 30),
        silent=(11,),
    ),
    Story(
        "at risk is not broken",
        "TidegatePromiseBroken",
        {condition("AtRisk", "True", "PromiseAtRisk"): "1x30"},
        firing=(),
        silent=(5, 30),
    ),
    Story(
        "retention comes near",
        "TidegateDataAtRisk",
        {condition("AtRisk", "True", "RetentionNear"): "_x10 1x10 stale"},
        firing=(11, 20),
        silent=(9, 10, 24),
    ),
    Story(
        "retention was faster",
        "TidegateDataLost",
        {f"tidegate_lost_records_total{{{SCRAPED}}}": "0x10 100x60"},
        firing=(11, 20),
        silent=(10, 30),
    ),
    Story(
        "the broker is away",
        "TidegateReadingStale",
        {OBSERVED: None, condition("Observing", "False", "ConnectionFailed"): "_x5 1x30 stale"},
        firing=(10, 35),
        silent=(5, 9, 40),
    ),
    Story(
        "the loop hangs, and all it has said stays as it was",
        "TidegateReadingStale",
        {f"tidegate_last_success_timestamp_seconds{{{SCRAPED}}}": "0+60x10 600x30"},
        firing=(18, 30),
        silent=(10, 12, 17),
    ),
    Story(
        "a right is missing",
        "TidegateCannotAct",
        {READY: None, condition("Ready", "False", "Forbidden"): "1x30 stale"},
        firing=(10, 30),
        silent=(5, 9, 34),
    ),
    Story(
        "what cannot be read is another alert's affair",
        "TidegateCannotAct",
        {
            READY: None,
            OBSERVED: None,
            condition("Ready", "False", "ConnectionFailed"): "1x30",
            condition("Observing", "False", "ConnectionFailed"): "1x30",
        },
        firing=(),
        silent=(10, 30),
    ),
    Story(
        "paused is no fault",
        "TidegateCannotAct",
        {READY: None, condition("Ready", "False", "Paused"): "1x60"},
        firing=(),
        silent=(10, 60),
    ),
    Story(
        "the need outgrows the partitions",
        "TidegatePartitionBound",
        {condition("PartitionBound", "True", "Partitions"): "1x20 stale"},
        firing=(15, 20),
        silent=(5, 14, 24),
    ),
    Story(
        "features are off for an hour",
        "TidegateDegradedTooLong",
        {
            condition("Degraded", "True", "ScalingExhausted"): "1x59 stale",
            condition("Degraded", "True", "DegradedTooLong"): "_x60 1x30",
        },
        firing=(61, 80),
        silent=(30, 59, 60),
    ),
    Story(
        "a pause that was forgotten",
        "TidegatePausedTooLong",
        {READY: None, condition("Ready", "False", "Paused"): "1x1500"},
        firing=(DAY, DAY + 30),
        silent=(60, DAY - 1),
    ),
    Story("both processes are gone", "TidegateDown", dict.fromkeys(BUILDS, "1x4 stale"), (10, 30), (4, 8), labels={}),
    Story("one process is gone", "TidegateDown", {BUILDS[0]: "1x4 stale"}, (), (10, 30)),
    Story(
        "nobody takes over",
        "TidegateNoLeader",
        {LEADS: "1x9 0x30"},
        firing=(12, 30),
        silent=(9, 11),
        labels={"namespace": "tidegate-system", "job": "tidegate"},
    ),
    Story(
        "one ends, the other takes over",
        "TidegateNoLeader",
        {LEADS: "1x9 stale", STANDS_BY: "0x10 1x30"},
        (),
        (10, 11, 12, 30),
    ),
    Story(
        "two take themselves for the one",
        "TidegateTwoLeaders",
        {STANDS_BY: "0x9 1x30"},
        firing=(13, 30),
        silent=(9, 12),
        labels={"namespace": "tidegate-system", "job": "tidegate"},
        value="2",
    ),
    Story(
        "a hand-over in which both are seen",
        "TidegateTwoLeaders",
        {LEADS: "1x11 0x30", STANDS_BY: "0x9 1x30"},
        (),
        (10, 11, 12, 13, 30),
    ),
    Story(
        "the brokers do not answer",
        "TidegateConnectionDown",
        dict.fromkeys(UP, "1x4 0x20 1x30"),
        firing=(10, 25),
        silent=(4, 9, 26),
        labels=KAFKA,
    ),
    Story(
        "one replica cannot reach them",
        "TidegateConnectionDown",
        {UP[1]: "1x4 0x20 1x30"},
        firing=(10, 25),
        silent=(4, 9, 26),
        labels=KAFKA,
    ),
)


def expected(story: Story) -> dict[str, Any]:
    """The alert as Alertmanager would get it."""
    rule = ALERTS[story.alert]
    labels = story.labels | rule["labels"]

    def filled(text: str) -> str:
        text = re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], text)
        return re.sub(r"{{ \$value( \| \w+)? }}", story.value, text)

    return {"exp_labels": labels, "exp_annotations": {name: filled(text) for name, text in rule["annotations"].items()}}


def promtool(programs: Path, *arguments: str | Path) -> None:
    done = subprocess.run([programs / "promtool", *arguments], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def run(programs: Path, folder: Path, series: dict[str, str | None], tests: list[dict[str, Any]]) -> None:
    """Have promtool play the series, a sample each minute, against the chart's rules."""
    lines = [{"series": name, "values": values} for name, values in (WELL | series).items() if values is not None]
    test = {"interval": "1m", "input_series": lines, "alert_rule_test": tests}
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    promtool(programs, "test", "rules", file)


def test_the_rules_are_as_prometheus_wants_them(prometheus_programs: Path):
    promtool(prometheus_programs, "check", "rules", "--lint=all", "--lint-fatal", RULES)


def test_nothing_fires_while_all_is_well(prometheus_programs: Path, tmp_path: Path):
    moments = ("10m", "1h", "24h", "25h")
    run(
        prometheus_programs,
        tmp_path,
        {},
        [{"eval_time": at, "alertname": name, "exp_alerts": []} for name in ALERTS for at in moments],
    )


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.alert}: {story.title}")
def test_an_alert_fires_when_it_should(story: Story, prometheus_programs: Path, tmp_path: Path):
    alerts = {at: [expected(story)] for at in story.firing} | {at: [] for at in story.silent}
    run(
        prometheus_programs,
        tmp_path,
        story.series,
        [
            {"eval_time": f"{at}m", "alertname": story.alert, "exp_alerts": fired}
            for at, fired in sorted(alerts.items())
        ],
    )


def test_every_alert_is_seen_firing_and_silent():
    assert {story.alert for story in STORIES if story.firing} == set(ALERTS)
    assert {story.alert for story in STORIES if story.silent} == set(ALERTS)
