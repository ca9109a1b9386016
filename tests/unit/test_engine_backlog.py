"""What one reading says: lag, age, rates, loss. Times are in seconds, a look every 5 s."""

from dataclasses import replace

import pytest

from tests.unit.engine_world import Line, World, spec
from tidegate.api import Reason
from tidegate.engine import Observation, step


def test_lag_is_counted_from_the_commit_and_summed_over_topics():
    line = Line()
    line.see({("a", 0): (0, 90, 100), ("b", 0): (5, 10, 17)})
    assert line.last.backlog.lag == 10 + 7
    assert line.last.partitions == 2


def test_lag_starts_at_the_log_start_where_retention_has_passed_the_commit():
    line = Line()
    decision = line.see({0: (50, 20, 60)})
    assert decision.backlog.lag == 10
    assert decision.backlog.lost == 30
    assert decision.at_risk is Reason.DATA_LOST


def test_records_lost_are_seen_although_the_lag_is_zero():
    decision = Line().see({0: (60, 20, 60)})
    assert decision.backlog.lag == 0
    assert decision.backlog.lost == 40
    assert decision.at_risk is Reason.DATA_LOST


def test_a_compacted_topic_loses_no_records_when_its_log_start_moves():
    decision = Line().see({0: (60, 20, 60)}, compacted=frozenset({"points"}))
    assert decision.backlog.lost == 0
    assert decision.at_risk is None


def test_retention_moving_past_the_commit_is_not_work_that_was_done():
    line = Line()
    line.see({0: (0, 0, 1000)})
    line.see({0: (600, 0, 1000)})
    line.see({0: (900, 0, 1000)})
    assert line.last.backlog.service_rate == 0
    assert line.last.backlog.lost == 900


def test_without_a_commit_earliest_means_all_records_of_the_log():
    line = Line(spec(reset="earliest"))
    assert line.see({0: (40, None, 100)}).backlog.lag == 60


def test_without_any_commit_latest_means_that_nobody_knows():
    decision = Line().see({0: (40, None, 100), 1: (0, None, 0)})
    assert decision.reason is Reason.UNKNOWN_BACKLOG
    assert decision.backlog.lag is None
    assert decision.backlog.age is None
    assert decision.replicas is None


def test_a_partition_without_a_commit_among_others_is_left_out_but_its_arrivals_count():
    line = Line()
    for second in range(0, 60, 5):
        line.see({0: (0, 10 * second, 10 * second), 1: (0, None, 10 * second)})
    assert line.last.backlog.lag == 0
    assert line.last.backlog.arrival_rate == pytest.approx(20, rel=0.02)
    assert line.last.backlog.service_rate == pytest.approx(10, rel=0.02)


def test_the_first_commit_of_a_partition_is_no_rate():
    line = Line()
    for second in range(0, 30, 5):
        line.see({0: (0, 10 * second, 10 * second), 1: (0, None, 1_000_000)})
    line.see({0: (0, 300, 300), 1: (0, 999_990, 1_000_000)})
    assert line.last.backlog.service_rate == pytest.approx(10, rel=0.02)
    assert line.last.backlog.lag == 10


def test_rates_are_offsets_over_the_times_of_the_answers_not_over_the_nominal_period():
    line = Line()
    offset = 0
    for after in (5, 3, 9, 5, 2, 8, 5, 5):
        offset += 20 * after
        line.see({0: (0, offset, offset)}, after=after)
    assert line.last.backlog.arrival_rate == pytest.approx(20)
    assert line.last.backlog.service_rate == pytest.approx(20)


def test_commits_in_jumps_of_five_seconds_show_as_a_steady_service():
    line = Line()
    seen = []
    for second in range(0, 300, 4):  # readings every 4 s against commits every 5 s: some hold no commit, some one
        line.see({0: (0, 100 * (second // 5 * 5), 100 * second)}, after=4)
        seen.append(line.last.backlog.service_rate)
    assert all(80 <= rate <= 120 for rate in seen[10:])
    assert line.last.replicas is None, "an age of 5 s from auto-commits is no reason to scale"


# --- age


def test_the_age_is_that_of_the_oldest_waiting_record_by_the_arrival_curve():
    line = Line()
    for second in range(0, 60, 5):
        line.see({0: (0, 100 * max(0, second - 12), 100 * second)})
    assert line.last.backlog.lag == 1200
    assert line.last.backlog.age == pytest.approx(12, abs=0.01)


def test_age_follows_the_bend_of_the_arrivals():
    line = Line()
    line.see({0: (0, 0, 0)})
    line.see({0: (0, 0, 10)})  # 2/s for 5 s
    line.see({0: (0, 5, 1010)})  # then 200/s: the head is a record of the slow time
    assert line.last.backlog.age == pytest.approx(7.5)
    line.see({0: (0, 510, 1010)})
    assert line.last.backlog.age == pytest.approx(7.5)


def test_at_the_first_look_nobody_knows_how_old_a_backlog_is():
    decision = Line().see({0: (0, 0, 500)})
    assert decision.backlog.lag == 500
    assert decision.backlog.age is None
    assert Line().see({0: (0, 500, 500)}).backlog.age == 0


def test_a_head_older_than_the_history_is_at_least_as_old_as_that():
    line = Line()
    line.see({0: (0, 0, 500)})
    for _ in range(3):
        line.see({0: (0, 0, 500)})
    assert line.last.backlog.age == 15


def test_a_head_older_than_the_history_is_placed_by_the_pace_of_the_group():
    line = Line()
    for second in range(0, 30, 5):
        line.see({0: (0, 100 * second, 5000 + 100 * second)})  # in and out at 100/s, 50 s of work ahead of the history
    assert line.last.backlog.age == pytest.approx(50, rel=0.02)


def test_the_age_is_that_of_the_latest_partition():
    line = Line()
    for second in range(0, 60, 5):
        line.see({0: (0, 10 * second, 10 * second), 1: (0, 10 * max(0, second - 20), 10 * second)})
    assert line.last.backlog.age == pytest.approx(20, abs=0.01)


# --- retention


def test_the_retention_margin_is_that_of_the_topic_nearest_to_deletion():
    line = Line()
    for second in range(0, 60, 5):
        late = max(0, second - 30)
        line.see(
            {("a", 0): (0, 10 * second, 10 * second), ("b", 0): (0, 10 * late, 10 * second)},
            retention={"a": 600.0, "b": 3600.0},
        )
    assert line.last.backlog.retention_margin == pytest.approx(600)
    line.see({("a", 0): (0, 600, 600), ("b", 0): (0, 290, 590)}, retention={"b": 100.0})
    assert line.last.backlog.retention_margin == pytest.approx(70, abs=1)


def test_retention_near_is_said_before_records_are_lost():
    line = Line(spec(max_age="10m"))
    for second in range(0, 100, 5):
        line.see({0: (0, 0, 10 * second + 10)}, retention={"points": 120.0})
    assert line.last.at_risk is Reason.RETENTION_NEAR
    assert line.last.backlog.lost == 0


# --- offsets that jump


def steady(line: Line, until: int, topic_id: str = "id-1", extra: dict | None = None) -> None:
    for second in range(0, until, 5):
        line.see({0: (0, 100 * second, 100 * second), **(extra or {})}, ids={"points": topic_id})


def test_a_recreated_topic_never_shows_as_a_rate():
    line = Line(spec(reset="earliest"))
    steady(line, 60)
    line.see({0: (0, None, 40)}, ids={"points": "id-2"})
    assert line.last.reason is Reason.OFFSETS_RESET
    assert line.last.replicas is None
    assert line.last.backlog.lag == 40
    assert line.last.backlog.age <= 5, "a topic that did not exist at the last look holds nothing older"
    assert 0 <= line.last.backlog.arrival_rate <= 101
    assert line.last.backlog.service_rate >= 0


def test_after_a_jump_of_offsets_two_more_looks_make_a_new_history():
    line = Line()
    steady(line, 60)
    assert line.see({0: (0, 0, 20_000)}, ids={"points": "id-2"}).reason is Reason.OFFSETS_RESET
    assert line.see({0: (0, 500, 20_500)}, ids={"points": "id-2"}).reason is Reason.OFFSETS_RESET
    assert line.see({0: (0, 1000, 21_000)}, ids={"points": "id-2"}).reason is not Reason.OFFSETS_RESET


def test_a_commit_moved_back_makes_lag_but_no_rate_and_no_judgement_at_once():
    line = Line()
    steady(line, 60)
    decision = line.see({0: (0, 0, 6000)})  # kafka-consumer-groups --reset-offsets --to-earliest
    assert decision.reason is Reason.OFFSETS_RESET
    assert decision.backlog.lag == 6000
    assert decision.backlog.service_rate >= 0
    assert decision.backlog.arrival_rate == pytest.approx(100, rel=0.1)


def test_a_commit_above_the_end_is_no_lag_and_holds_as_long_as_it_lasts():
    line = Line()
    steady(line, 30)
    for _ in range(8):
        decision = line.see({0: (0, 9000, 100)})
        assert decision.reason is Reason.OFFSETS_RESET
        assert decision.backlog.lag is None


def test_a_truncated_log_restarts_its_partition_only():
    line = Line()
    steady(line, 60, extra={1: (0, 400, 500)})
    decision = line.see({0: (0, 6000, 6000), 1: (0, 400, 450)})
    assert decision.reason is Reason.OFFSETS_RESET
    assert decision.backlog.lag == 50
    assert decision.backlog.arrival_rate == pytest.approx(100, rel=0.1)


def test_a_new_partition_starts_empty_and_the_others_go_on():
    line = Line(spec(reset="earliest"))
    steady(line, 60)
    decision = line.see({0: (0, 6000, 6000), 1: (0, None, 250)})
    assert decision.reason is not Reason.OFFSETS_RESET
    assert decision.backlog.lag == 250
    assert decision.backlog.age <= 5
    assert 100 <= decision.backlog.arrival_rate <= 151  # its 250 came since the last look
    decision = line.see({0: (0, 6500, 6500), 1: (0, 500, 500)})
    assert decision.backlog.arrival_rate <= 151


def test_a_topic_that_goes_takes_its_lag_along_and_leaves_no_negative_rate():
    line = Line()
    for second in range(0, 60, 5):
        line.see({("a", 0): (0, 10 * second, 10 * second), ("b", 0): (0, 0, 7000 + 10 * second)})
    decision = line.see({("a", 0): (0, 600, 600)})
    assert decision.backlog.lag == 0
    assert decision.backlog.arrival_rate >= 0
    assert decision.backlog.service_rate >= 0


def test_a_clock_set_back_starts_anew():
    line = Line()
    steady(line, 60)
    line.now -= 3600
    decision = line.see({0: (0, 6000, 6000)})
    assert decision.reason is Reason.WARMING_UP


def test_a_clock_set_back_stops_nothing_until_it_has_caught_up():
    world = World(arrivals=lambda t: 300, replicas=4, max_age=60, dt=0.5)
    policy = spec("60s", most=12, recordsPerSecond=100)
    world.run(policy, 120)
    world.scale(12)
    world.run(policy, 5)
    assert world.replicas == 12

    def a_day_ago() -> Observation:
        reading, day = world.reading(), 86_400
        reading = replace(reading, committed_at=reading.committed_at - day, ended_at=reading.ended_at - day)
        return Observation(reading, world.target())

    for _ in range(60):
        world.advance(5)
        decision, world.memory = step(world.memory, a_day_ago(), policy, world.now - 86_400)
        world.scale(decision.replicas or world.replicas)
    assert world.replicas <= 4


# --- transactions and single partitions


def test_a_last_stable_offset_above_the_high_watermark_is_a_race_not_an_alarm():
    line = Line()
    for second in range(0, 90, 5):
        line.see({0: (0, 10 * second, 10 * second + 1, 10 * second)})
    assert line.last.backlog.lag == 1
    assert line.last.reason is Reason.ON_TIME


def test_an_open_transaction_that_pins_the_group_is_no_reason_to_scale():
    line = Line(spec(recordsPerSecond=10))
    for second in range(0, 30, 5):
        line.see({0: (0, 100 * second, 100 * second)})
    for second in range(30, 120, 5):
        line.see({0: (0, 3000, 3000, 100 * second)})
        assert line.last.replicas is None
    assert line.last.reason is Reason.TRANSACTION_STALLED
    assert line.last.backlog.lag == 0
    assert "8,500 records" in line.last.message


def test_short_transactions_are_no_stall():
    line = Line()
    for second in range(0, 120, 5):
        stable = 100 * (second // 10 * 10)
        line.see({0: (0, stable, stable, 100 * second)})
        assert line.last.reason in (Reason.WARMING_UP, Reason.ON_TIME)


def test_a_partition_held_up_by_one_record_is_told_and_not_scaled_for():
    line = Line(spec(recordsPerSecond=100, max_age="30s"))
    for second in range(0, 200, 5):
        moving = dict.fromkeys(range(1, 6), (0, 10 * second, 10 * second))
        line.see({0: (0, 7, 10 * second + 7), **moving})
        if second > 90:
            assert line.last.replicas is None
    assert line.last.backlog.age > 150, "the age tells the truth"
    assert line.last.at_risk is Reason.PROMISE_BROKEN
    assert "points/0 does not move" in line.last.message
