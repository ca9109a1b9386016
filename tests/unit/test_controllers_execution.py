"""What comes next in an execution, as time lines: a process that dies anywhere is followed by one that goes on."""

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.unit.execution_world import (
    FROM,
    NEW,
    NOW,
    REPLICAS,
    TO,
    Cluster,
    Other,
    happened,
    is_released,
    plan,
    play,
    process,
    until,
)
from tidegate.api import Execution, ExecutionStep, Method, OffsetReset, Reason
from tidegate.cluster.times import moment
from tidegate.controllers.execution.acts import Begin, Commit, Grow, Hold, Scale, Validate
from tidegate.controllers.execution.case import AWAY_FOR, COMMIT_FOR, EMPTY_FOR, OWNED_FOR, RELEASED_AFTER
from tidegate.engine.observation import Objection

PAUSED = ["Validate", "Begin", "Hold", "Move Paused", "Scale 0", "Move Increased", "Grow", "Commit points"]
BACK = ["Move Resumed", f"Scale {REPLICAS}", "Release"]
REFUSED = Objection(Reason.REFUSED_BY_BROKER, "POLICY_VIOLATION: no more than 2 partitions")
FORBIDDEN = Objection(Reason.FORBIDDEN, "ServiceAccount tidegate may not patch deployments/scale")


def live(**changes: object) -> Cluster:
    return Cluster(plan(Method.LIVE, **changes))


def test_a_paused_group_is_stopped_started_and_has_not_missed_anything():
    cluster = Cluster()
    play(cluster)
    assert happened(cluster) == [*PAUSED, *BACK, "Finish applied", "Leave"]
    assert (cluster.count, cluster.replicas, cluster.scaled) == (TO, REPLICAS, [0, REPLICAS])
    assert cluster.commits.keys() >= NEW
    assert not cluster.skipped
    assert cluster.execution
    assert cluster.execution.step == ExecutionStep.DONE


def test_a_live_group_goes_on_and_its_target_is_never_touched():
    cluster = live(reset=OffsetReset.EARLIEST)
    play(cluster)
    assert happened(cluster) == ["Validate", "Begin", "Move Increased", "Grow", "Finish applied", "Leave"]
    assert cluster.scaled == []
    assert not cluster.held


def test_a_live_group_that_starts_at_the_end_is_given_its_start_with_the_increase():
    cluster = live()
    play(cluster)
    assert cluster.commits == {0: 10, 1: 10, 2: 0, 3: 0}
    assert not cluster.skipped
    assert happened(cluster)[-2:] == ["Finish applied", "Leave"]


def test_groups_without_members_are_given_their_start_whatever_the_method():
    for cluster in (Cluster(), live()):
        cluster.others = {"audit": Other(), "billing": Other(members=2)}
        play(cluster)
        assert cluster.others["audit"].commits.keys() >= NEW
        assert cluster.others["billing"].commits.keys() >= NEW  # has members: by the increase itself
        assert happened(cluster)[-2] == "Finish applied"


# nothing is begun


def test_the_broker_is_asked_before_anything_is_stopped():
    cluster = Cluster(faults={Validate: REFUSED})
    play(cluster)
    assert happened(cluster) == ["Validate", "Finish failed", "Leave"]
    assert cluster.finished
    assert "POLICY_VIOLATION" in cluster.finished.message
    assert cluster.scaled == []


def test_a_partition_without_a_commit_would_lose_by_the_pause_what_is_written_meanwhile():
    cluster = Cluster(commits={0: 10}, finds=False)
    play(cluster)
    assert happened(cluster) == ["Finish failed", "Leave"]
    assert cluster.finished
    assert "not committed anything yet in partitions 1" in cluster.finished.message
    for safe in (Cluster(plan(reset=OffsetReset.EARLIEST), commits={0: 10}), live()):
        play(safe)
        assert safe.finished
        assert safe.finished.applied


@pytest.mark.parametrize("change", [{"count": 3}, {"topic_id": "another"}, {"away": True}, {"stop": "deleted"}])
def test_what_is_not_as_it_was_judged_is_left_to_be_judged_anew(change: dict[str, object]):
    cluster = Cluster(**change)  # type: ignore[arg-type]
    play(cluster)
    assert happened(cluster) == ["Leave"]
    assert cluster.execution is None


def test_of_two_processes_only_one_begins():
    cluster = Cluster()
    second = process(cluster)  # it was told of the proposal before the first one had begun
    until(cluster, process(cluster), Begin)
    play(cluster, tried=second)
    assert happened(cluster) == ["Validate", "Begin", "Leave"]


# before the increase giving up costs nothing


def test_members_that_stay_are_waited_for_and_then_the_target_comes_back():
    cluster = Cluster(stays=1)
    play(cluster)
    assert happened(cluster) == [*PAUSED[:5], "GiveUp", *BACK[1:], "Finish failed", "Leave"]
    assert cluster.now > NOW + EMPTY_FOR
    assert (cluster.count, cluster.replicas) == (FROM, REPLICAS)
    assert cluster.finished
    assert "group points has 1 member although Deployment consumer was scaled to zero" in cluster.finished.message


def test_a_policy_deleted_while_its_target_is_at_zero_gets_it_back():
    cluster = Cluster()
    tried = process(cluster)
    until(cluster, tried, Scale)
    cluster.stop = "its LagPolicy was deleted"
    play(cluster, tried=tried)
    assert happened(cluster)[5:] == ["GiveUp", *BACK[1:], "Finish failed", "Leave"]
    assert cluster.replicas == REPLICAS
    assert cluster.increases == 0


def test_a_policy_deleted_after_the_increase_still_gets_its_commits():
    cluster = Cluster()
    tried = process(cluster)
    until(cluster, tried, Grow)
    cluster.stop = "its LagPolicy was deleted"
    play(cluster, tried=tried)
    assert happened(cluster)[7:] == ["Commit points", *BACK, "Finish applied", "Leave"]
    assert not cluster.skipped


def test_a_proposal_taken_away_by_force_leaves_no_target_at_zero():
    cluster = Cluster()
    tried = process(cluster)
    until(cluster, tried, Scale)
    cluster.there = False
    play(cluster, tried=tried)
    assert happened(cluster)[5:] == [f"Scale {REPLICAS}", "Leave"]


def test_a_person_who_scales_up_once_is_overruled_and_twice_is_obeyed():
    cluster = Cluster(stays=1)  # so that the pause lasts
    tried = process(cluster)
    until(cluster, tried, Scale)
    cluster.scale(3)
    until(cluster, tried, Scale)
    assert cluster.replicas == 0
    cluster.scale(4)
    play(cluster, tried=tried)
    assert happened(cluster)[-4:] == ["GiveUp", "Release", "Finish failed", "Leave"]
    assert cluster.replicas == 4
    assert cluster.finished
    assert "somebody else scales Deployment consumer up (to 4 now)" in cluster.finished.message


def test_a_missing_right_to_scale_changes_nothing():
    cluster = Cluster(faults={Scale: FORBIDDEN})
    play(cluster)
    assert happened(cluster) == [*PAUSED[:5], "GiveUp", "Release", "Finish failed", "Leave"]
    assert cluster.finished
    assert "may not patch deployments/scale" in cluster.finished.message


def test_a_target_deleted_meanwhile_is_no_reason_to_wait():
    cluster = Cluster()
    tried = process(cluster)
    until(cluster, tried, Hold)
    cluster.target = Objection(Reason.TARGET_NOT_FOUND, "Deployment consumer does not exist")
    play(cluster, tried=tried)
    assert happened(cluster)[3:] == ["GiveUp", "Release", "Finish failed", "Leave"]


def test_a_refusal_after_the_pause_is_told_in_the_brokers_words():
    cluster = Cluster(faults={Grow: REFUSED})
    play(cluster)
    assert happened(cluster) == [*PAUSED[:7], "GiveUp", *BACK[1:], "Finish failed", "Leave"]
    assert cluster.finished
    assert cluster.finished.message == f"the broker refuses: {REFUSED.message}"


def test_a_topic_that_somebody_else_has_enlarged_alike_is_gone_on_with():
    cluster = Cluster()
    tried = process(cluster)
    until(cluster, tried, Begin)
    cluster.count = TO
    play(cluster, tried=tried)
    assert cluster.finished
    assert cluster.finished.applied
    assert cluster.increases == 0


def test_a_topic_that_somebody_else_enlarges_before_the_pause_is_paused_for_the_commits_alone():
    cluster = Cluster(finds=False)
    tried = process(cluster)
    until(cluster, tried, Begin)
    cluster.count = TO
    play(cluster, tried=tried)
    assert happened(cluster)[2:6] == ["Move Increased", "Hold", "Scale 0", "Commit points"]
    assert happened(cluster)[6:] == [*BACK, "Finish applied", "Leave"]
    assert not cluster.skipped


def test_a_topic_that_somebody_else_has_enlarged_otherwise_is_safe_and_failed():
    cluster = Cluster(finds=False)
    tried = process(cluster)
    until(cluster, tried, Scale)
    cluster.count = TO + 1
    play(cluster, tried=tried)
    assert cluster.commits.keys() >= {2, 3, 4}
    assert not cluster.skipped
    assert cluster.replicas == REPLICAS
    assert cluster.finished
    assert "somebody else has enlarged orders to 5 partitions" in cluster.finished.message


# after it no record may be lost


def test_refused_commits_keep_the_target_at_zero_for_two_minutes_and_then_say_what_to_do():
    cluster = Cluster(faults={Commit: Objection(Reason.FORBIDDEN, "grant Read on Group points")})
    tried = process(cluster)
    until(cluster, tried, Grow)
    cluster.wait(COMMIT_FOR - 10)
    play(cluster, 5, tried)
    assert cluster.replicas == 0
    play(cluster, tried=tried)
    assert cluster.replicas == REPLICAS
    assert happened(cluster)[-4:] == [f"Scale {REPLICAS}", "Release", "Finish failed", "Leave"]
    assert cluster.finished
    message = cluster.finished.message
    assert "grant Read on Group points" in message
    assert "--group points --topic orders:2,3 --reset-offsets --to-offset 0 --execute" in message


def test_commits_of_other_groups_are_no_reason_to_stay_at_zero():
    cluster = live(reset=OffsetReset.EARLIEST)
    cluster.others = {"audit": Other()}
    cluster.faults = {Commit: Objection(Reason.FORBIDDEN, "grant Read on Group audit")}
    play(cluster)
    assert happened(cluster).count("Commit audit") == 3
    assert happened(cluster)[-2] == "Finish applied with a warning"
    assert cluster.finished
    assert "--group audit --topic orders:2,3" in cluster.finished.message


def test_a_broker_that_goes_away_after_the_increase_keeps_the_target_at_zero():
    cluster = Cluster()
    tried = process(cluster)
    until(cluster, tried, Grow)
    cluster.away = True
    play(cluster, 100, tried)
    assert cluster.now > NOW + COMMIT_FOR
    assert cluster.replicas == 0
    cluster.away = False
    play(cluster, tried=tried)
    assert happened(cluster)[7:] == ["Commit points", *BACK, "Finish applied", "Leave"]


def test_a_broker_that_never_comes_back_does_not_keep_the_target_for_ever():
    cluster = Cluster()
    tried = process(cluster)
    until(cluster, tried, Grow)
    cluster.away = True
    play(cluster, tried=tried)
    assert cluster.now > NOW + AWAY_FOR
    assert cluster.replicas == REPLICAS
    assert cluster.finished
    assert "whether orders has grown is not known" in cluster.finished.message


def test_a_process_that_comes_back_late_still_commits_before_it_gives_up():
    cluster = Cluster()
    until(cluster, process(cluster), Grow)
    cluster.wait(3600)
    play(cluster)
    assert happened(cluster)[7:] == ["Commit points", *BACK, "Finish applied", "Leave"]


def test_consumers_that_a_person_starts_before_the_commits_stand_are_stopped_again_and_told_of():
    cluster = Cluster()
    tried = process(cluster)
    until(cluster, tried, Grow)
    cluster.scale(1)
    cluster.wait(4)
    assert cluster.skipped
    play(cluster, tried=tried)
    assert happened(cluster)[-2] == "Finish applied with a warning"
    assert cluster.finished
    assert "up to 10 records may have been skipped in partitions 2,3" in cluster.finished.message


# scaling goes on


def test_scaling_is_released_when_members_own_the_new_partitions():
    cluster = Cluster()
    tried = process(cluster)
    until(cluster, tried, Scale)
    assert not is_released(cluster, tried)
    until(cluster, tried, Scale)
    assert not is_released(cluster, tried)
    play(cluster, tried=tried)
    assert is_released(cluster, tried)


def test_scaling_is_released_after_a_while_if_nobody_looks_for_the_new_partitions():
    cluster = live(reset=OffsetReset.EARLIEST)
    cluster.finds = False
    tried = process(cluster)
    until(cluster, tried, Grow)
    assert not is_released(cluster, tried)
    cluster.wait(RELEASED_AFTER + 1)
    assert is_released(cluster, tried)
    play(cluster, tried=tried)
    assert cluster.now > NOW + OWNED_FOR
    assert happened(cluster)[-2] == "Finish applied with a warning"
    assert cluster.finished
    assert "no member owns partitions 2,3" in cluster.finished.message


def test_a_target_that_was_at_zero_stays_there():
    cluster = Cluster(plan()._replace(floor=0), members=0, owned=frozenset())
    cluster.scale(0)
    cluster.scaled.clear()
    play(cluster)
    assert cluster.scaled == []
    assert cluster.commits.keys() >= NEW
    assert cluster.finished
    assert cluster.finished.applied


def test_a_step_of_a_newer_version_is_left_alone():
    cluster = Cluster(execution=Execution(step="Polished", since=moment(NOW)))
    with pytest.raises(ValueError, match="Polished"):
        play(cluster)


# whatever happens

FAULTS = st.dictionaries(
    st.sampled_from([Validate, Scale, Grow, Commit]), st.sampled_from([REFUSED, FORBIDDEN]), max_size=1
)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    method = draw(st.sampled_from(Method))
    reset = draw(st.sampled_from(OffsetReset))
    others = {"audit": Other(members=draw(st.sampled_from([0, 2])))} if draw(st.booleans()) else {}
    stays, finds = draw(st.sampled_from([0, 0, 0, 1])), draw(st.booleans())
    return Cluster(plan(method, reset), others=others, stays=stays, finds=finds, faults=draw(FAULTS))


HAPPENINGS = (
    "crash",
    "crash",
    "crash late",
    "away",
    "back",
    "faults over",
    "deleted",
    "grown",
    "other count",
    "scaled up",
)


def befall(cluster: Cluster, what: str) -> None:
    match what:
        case "crash late":
            cluster.wait(700)
        case "away" | "back":
            cluster.away = what == "away"
        case "faults over":
            cluster.faults = {}
        case "deleted":
            cluster.stop = "its LagPolicy was deleted"
        case "grown" | "other count" if cluster.count == FROM:
            cluster.count = TO if what == "grown" else TO + 1
        case "scaled up" if cluster.replicas == 0:
            cluster.scale(1)


@settings(max_examples=500, deadline=None)
@given(clusters(), st.lists(st.tuples(st.integers(0, 25), st.sampled_from(HAPPENINGS)), max_size=6))
def test_whatever_happens_the_target_comes_back_and_no_record_is_lost_unsaid(
    cluster: Cluster, happenings: list[tuple[int, str]]
):
    tried = process(cluster)
    for acts, what in happenings:
        play(cluster, acts, tried)
        befall(cluster, what)
        if what.startswith("crash"):
            tried = process(cluster)
    cluster.faults.pop(Scale, None)  # a right that is never given back would keep anybody from scaling back
    if cluster.execution is not None:
        play(cluster, tried=process(cluster))
    assert cluster.unsafe == []
    assert cluster.increases <= 1
    if not cluster.execution:
        assert cluster.scaled in ([], [1])
        return
    assert cluster.execution.step == ExecutionStep.DONE
    assert cluster.finished
    assert not cluster.held
    assert cluster.replicas > 0
    event(f"{cluster.plan.method} {'applied' if cluster.finished.applied else 'failed'}")
    cluster.wait(10)
    if cluster.skipped:
        assert not cluster.finished.applied or cluster.finished.warn
    if cluster.finished.applied:
        assert cluster.count == TO
    if cluster.finished.applied and not cluster.finished.warn:
        assert cluster.commits.keys() >= NEW or cluster.plan.resets["points"] is OffsetReset.EARLIEST
        assert all(other.commits.keys() >= NEW or other.members for other in cluster.others.values())


@pytest.mark.parametrize("method", Method)
def test_a_crash_after_any_act_changes_nothing_but_the_time(method: Method):
    whole = Cluster(plan(method))
    play(whole)
    for after in range(1, len(whole.story)):
        cluster = Cluster(plan(method))
        play(cluster, after)
        if cluster.execution is None:
            continue
        play(cluster)
        assert cluster.finished, after
        assert cluster.finished.applied, (after, cluster.finished)
        assert (cluster.increases, cluster.replicas, cluster.held, cluster.unsafe) == (1, REPLICAS, False, [])
        assert not cluster.skipped
        assert cluster.commits.keys() >= NEW
