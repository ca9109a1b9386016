"""`tidegate simulate`: what it prints, draws, and says when something is wrong."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_answers import Answers, answering
from typer.testing import CliRunner

from tidegate.cli.main import app

POLICY = """
kind: BrokerConnection
metadata: {name: kafka}
---
apiVersion: tidegate.dev/v1alpha1
kind: LagPolicy
metadata: {name: points}
spec:
  targetRef: {name: consumer}
  source: {kafka: {connectionRef: {name: kafka}, group: points, topics: [points.deduct]}}
  objective: {maxAge: 60s}
  replicas: {max: 4}
  capacity: {recordsPerSecond: 10, startup: 20s}
"""
KEYS = {
    "controller",
    "settings",
    "replica_hours",
    "optimum_replica_hours",
    "late_share",
    "p99_age_seconds",
    "max_age_seconds",
    "scale_events",
    "rebalances",
    "transitions",
}


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "load.csv"
    path.write_text("timestamp_s,count\n" + "".join(f"{t},{5 + 25 * (300 <= t < 600)}\n" for t in range(1200)))
    return path


def tidegate(*arguments: object):
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def changed(path: Path, old: str, new: str) -> Path:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return path


def changed_copy(path: Path, old: str, new: str) -> Path:
    copy = path.with_name("copy.yaml")
    copy.write_text(path.read_text())
    return changed(copy, old, new)


# --- what it says ---


def test_the_policy_and_its_rivals_as_json(policy, trace):
    result = tidegate("--policy", policy, "--trace", trace, "-o", "json", "--partitions", 8, "--rebalance", "5s")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert {name: report[name] for name in ("policy", "load", "records", "promise_seconds", "partitions")} == {
        "policy": "points",
        "load": "load",
        "records": 13_500,
        "promise_seconds": 60,
        "partitions": 8,
    }
    assert (report["service_rate"], report["startup_seconds"], report["rebalance_seconds"]) == (10, 20, 5)
    rows = report["controllers"]
    assert [row["controller"] for row in rows] == ["tidegate", "keda", "static", "optimum"]
    assert all(set(row) == KEYS for row in rows)
    assert rows[2]["replica_hours"] == pytest.approx(1.0)  # 3 replicas for 20 minutes
    assert 0 < rows[3]["replica_hours"] < rows[2]["replica_hours"]
    assert rows[0]["scale_events"] > 0


def test_the_table_says_what_was_assumed(policy, trace):
    result = tidegate("--policy", policy, "--trace", trace, "--service-rate", "12.5", "--compare", "numaflow")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "points: every record within 60 s, 1 to 4 replicas"
    assert lines[2] == "a replica does 12.5 records/s and starts in 20 s; a rebalance stops the group for 10 s"
    assert [line.split()[0] for line in lines[4:7]] == ["controller", "tidegate", "numaflow"]
    assert "note: 4 partitions are assumed, one for each consumer of spec.replicas.max" in result.stderr
    assert all(line.startswith("note: ") for line in result.stderr.splitlines())  # no progress where nobody watches


def test_a_behavior_is_obeyed(policy, trace):
    """The load asks for three replicas at once; the policy lets one come each five minutes, and none go."""
    behavior = """
  behavior:
    scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 300}]}
    scaleDown: {selectPolicy: Disabled}
"""
    free, slow = (
        json.loads(tidegate("--policy", path, "--trace", trace, "-o", "json", "--compare", "static").stdout)
        for path in (policy, changed_copy(policy, "  replicas: {max: 4}\n", "  replicas: {max: 4}" + behavior))
    )
    assert slow["controllers"][0]["scale_events"] == 2, "one more, and in the next five minutes one more"
    assert slow["controllers"][0]["late_share"] > 0.1 > free["controllers"][0]["late_share"]
    assert slow["controllers"][1] == free["controllers"][1], "the others have nothing to do with it"


def test_the_same_load_gives_the_same_figures(policy, trace):
    once, again = (tidegate("--policy", policy, "--trace", trace, "--compare", "keda").stdout for _ in range(2))
    assert once == again != ""


@pytest.mark.parametrize(("name", "begins"), [("out.png", b"\x89PNG"), ("out.html", b"<!doctype html>")])
def test_a_picture_is_drawn(policy, trace, tmp_path, name, begins):
    result = tidegate("--policy", policy, "--trace", trace, "--compare", "static", "--plot", tmp_path / name)
    assert result.exit_code == 0, result.output
    drawn = (tmp_path / name).read_bytes()
    assert drawn.startswith(begins)
    assert len(drawn) > 20_000
    if name.endswith("html"):
        assert b'src="data:image/png;base64,iVBOR' in drawn
        assert b"static: always" in drawn
        assert b"http" not in drawn.split(b"base64,")[0]


def test_a_dry_run_policy_is_played_as_active(policy, trace):
    changed(policy, "objective:", "mode: DryRun\n  objective:")
    result = tidegate("--policy", policy, "--trace", trace, "--compare", "", "-o", "json")
    report = json.loads(result.stdout)
    assert report["controllers"][0]["scale_events"] > 0
    assert report["controllers"][0]["optimum_replica_hours"] is None
    assert "spec.mode is DryRun; played is what the policy does when Active" in report["notes"]


def test_a_promise_that_nobody_can_keep_is_told(policy, trace):
    result = tidegate("--policy", policy, "--trace", trace, "--service-rate", "2", "--compare", "")
    assert result.exit_code == 0, result.output
    assert re.search(r"note: \d\d\.\d{3} % of the records are late even with all 4 replicas always on", result.stderr)


def test_load_from_prometheus(policy):
    now = int(time.time())
    samples = [(float(at), str((at - now + 4000) * 6)) for at in range(now - 3900, now, 15)]
    with answering(Answers()) as answers:
        for partition in ("0", "1"):
            answers.record("kafka_topic_partition_current_offset", samples, topic="points.deduct", partition=partition)
        result = tidegate(
            "--policy", policy, "--prometheus", answers.url, "--since", "1h", "--compare", "", "-o", "json"
        )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["load"] == "points (points.deduct)"
    assert report["partitions"] == 2
    assert report["records"] == pytest.approx(12 * 3600, rel=0.05)


# --- the degradation ladder ---

LADDER = """
  degradation:
    flagsRef: {name: flags, propagation: 5s}
    levels: [{name: NoHints, flags: {hints: "off"}}, {name: NoMail, flags: {mail: "off"}}]
"""


@pytest.fixture
def laddered(policy):
    return changed_copy(policy, "  replicas: {max: 4}\n", "  replicas: {max: 4}" + LADDER)


@pytest.fixture
def crowd(tmp_path):
    """All four replicas do 40 a second; for twenty minutes 45 come."""
    path = tmp_path / "crowd.csv"
    path.write_text("".join(f"{t},{10 + 35 * (900 <= t < 2100)}\n" for t in range(4500)))
    return path


def test_a_ladder_whose_savings_are_known_is_played(laddered, crowd, tmp_path):
    picture = tmp_path / "out.html"
    result = tidegate(
        "--policy", laddered, "--trace", crowd, "--compare", "static", "--level-saves", "0.2,0.15", "--plot", picture
    )
    assert result.exit_code == 0, result.output
    head, policy, static = (re.split(r" {2,}", line) for line in result.stdout.splitlines()[4:7])
    assert head[-2:] == ["level changes", "features off"]
    assert policy[-2] == "2", "one level up, one down"
    assert 0.3 < float(policy[-1].removesuffix(" h")) < 1
    assert static[-2:] == ["-", "-"]
    assert "tidegate: the policy with its ladder" in result.stdout
    assert "note: all others keep every feature on" in result.stderr
    assert "level changes" in picture.read_text()


def test_what_the_levels_save_decides_how_late_it_gets(laddered, crowd):
    def played(*flags: object) -> dict:
        result = tidegate("--policy", laddered, "--trace", crowd, "--compare", "", "-o", "json", *flags)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    left_out, much, little = (
        played(),
        played("--level-saves", "0.2,0.15"),
        played("--level-saves", "0.02,0.02"),
    )
    late = [report["controllers"][0]["late_share"] for report in (left_out, much, little)]
    assert late[0] > late[2] > late[1]
    assert late[1] < 0.5 * late[0]
    transitions = [report["controllers"][0]["transitions"] for report in (left_out, much, little)]
    assert transitions[:2] == [None, 2]
    assert transitions[2] > 2, "level 1 was not enough"
    words = "spec.degradation is left out: what its levels save is not known (--level-saves, such as 0.2,0.15)"
    assert words in left_out["notes"]
    assert words not in much["notes"]


def test_a_ladder_that_is_left_out_changes_nothing(policy, laddered, crowd):
    without, left_out = (
        json.loads(tidegate("--policy", path, "--trace", crowd, "--compare", "keda", "-o", "json").stdout)
        for path in (policy, laddered)
    )
    assert without["controllers"] == left_out["controllers"]


@pytest.mark.parametrize(
    ("saves", "complaint"),
    {
        "no shares": ("much", "'much' is not a list of shares: write one such as 0.2,0.15"),
        "all of it": ("0.6,0.4", "0.6,0.4: each must be 0 or more, and all together below 1"),
        "less than none": ("0.2,-0.1", "each must be 0 or more"),
        "not a number": ("0.2,nan", "each must be 0 or more"),
        "too few": ("0.2", "--level-saves: 1 shares for 2 levels (NoHints, NoMail)"),
    }.values(),
)
def test_savings_that_do_not_fit_are_told(laddered, crowd, saves, complaint):
    result = tidegate("--policy", laddered, "--trace", crowd, "--level-saves", saves)
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.replace("│", " ").split())


def test_savings_without_a_ladder_and_a_ladder_without_an_end(policy, laddered, crowd):
    result = tidegate("--policy", policy, "--trace", crowd, "--level-saves", "0.2")
    assert (result.exit_code, "the policy has no ladder (spec.degradation)" in result.stderr) == (2, True)
    result = tidegate(
        "--policy", changed(laddered, "  degradation:", "  degradation:\n    maxLevel: 3"), "--trace", crowd
    )
    assert result.exit_code == 2
    assert "spec.degradation.maxLevel must not be above the number of levels" in result.stderr


# --- what is wrong ---


@pytest.mark.parametrize(
    ("flags", "complaint"),
    {
        "no load": ([], "give either --trace CSV or --prometheus URL"),
        "two loads": (["--trace", "x", "--prometheus", "http://x"], "give either --trace CSV or --prometheus URL"),
        "no such trace": (["--trace", "nowhere.csv"], "--trace: trace nowhere.csv: no such file"),
        "flags of the other": (["--trace", "LOAD", "--since", "7d", "--group", "g"], "--group, --since: only with"),
        "unknown rival": (["--trace", "LOAD", "--compare", "keda,hpa"], "--compare: hpa not known; choose from keda"),
        "unknown picture": (["--trace", "LOAD", "--plot", "a.pdf"], "--plot: a.pdf must end with .png or .html"),
        "no folder": (["--trace", "LOAD", "--plot", "/no/where/a.png"], "--plot: there is no folder /no/where"),
        "no URL": (["--prometheus", "prometheus"], "--prometheus: 'prometheus' is not a URL: write one such as http"),
        "nobody there": (["--prometheus", "http://127.0.0.1:1"], "--prometheus: http://127.0.0.1:1 gives no answer"),
        "too short": (["--prometheus", "http://x", "--since", "90s"], "--since must be at least two steps of 60 s"),
        "no duration": (["--trace", "LOAD", "--startup", "30"], "'30' is not a duration: write one to four numbers"),
        "no rate": (["--trace", "LOAD", "--service-rate", "fast"], "'fast' is not a rate"),
        "nothing done": (["--trace", "LOAD", "--service-rate", "0"], "0 is not above 0"),
    }.values(),
)
def test_a_wrong_flag_is_named(policy, trace, flags, complaint, monkeypatch):
    monkeypatch.delenv("TIDEGATE_TRACES", raising=False)
    result = tidegate("--policy", policy, *[str(trace) if flag == "LOAD" else flag for flag in flags])
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    {
        "no promise": ("maxAge: 60s", "maxage: 60s", "spec.objective.maxAge: Field required"),
        "no duration": ("maxAge: 60s", "maxAge: soon", "spec.objective.maxAge: 'soon' is not a duration"),
        "too long": ("maxAge: 60s", "maxAge: 48h", "spec.objective.maxAge must be a duration from 1s to 24h"),
        "more than most": ("{max: 4}", "{min: 5, max: 4}", "spec.replicas.min must not be above spec.replicas.max"),
        "no capacity": ("recordsPerSecond: 10, ", "", "--service-rate: how many records a second can one replica"),
        "the lesser of no policies": (
            "objective:",
            "behavior: {scaleDown: {selectPolicy: Min}}\n  objective:",
            "spec.behavior.scaleDown.selectPolicy: Min chooses among policies: give at least one",
        ),
        "no policy": ("kind: LagPolicy", "kind: ScaledObject", "has no document of kind LagPolicy"),
        "two policies": ("kind: BrokerConnection", "kind: LagPolicy", "has 2 LagPolicies"),
        "no YAML": ("metadata: {name: kafka}", "metadata: {", "is not YAML"),
    }.values(),
)
def test_a_wrong_policy_is_told_by_its_field(policy, trace, old, new, complaint):
    result = tidegate("--policy", changed(policy, old, new), "--trace", trace)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_no_policy_file(trace, tmp_path):
    result = tidegate("--policy", tmp_path / "none.yaml", "--trace", trace)
    assert result.exit_code == 2
    assert "none.yaml cannot be read" in result.stderr


def test_load_without_records(policy, tmp_path):
    (tmp_path / "empty.csv").write_text("0,0\n5,0\n10,0\n")
    result = tidegate("--policy", policy, "--trace", tmp_path / "empty.csv")
    assert result.exit_code == 2
    assert "empty: nothing arrives in it" in result.stderr


# --- what the operator does not need ---


def test_the_command_line_loads_nothing_of_the_simulator():
    heavy = "{'numpy', 'matplotlib', 'prometheus_api_client', 'tidegate.simulate'}"
    code = f"import sys, tidegate.cli.main; print(sorted({heavy} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ended.stdout.strip() == "[]"


def test_without_the_extra_it_says_what_to_install(policy, trace, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("tidegate.cli.simulation", "tidegate.simulate"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.delattr("tidegate.cli.simulation", raising=False)
    result = tidegate("--policy", policy, "--trace", trace)
    assert result.exit_code == 1
    assert "tidegate simulate needs numpy: pip install 'tidegate[simulate]'" in result.stderr
