"""Who wrote out of turn, told from an audit log."""

import signal
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.handover import Handover, judge, missed, scale_ins
from bench.terms import double_writes, next_decision, terms, writes
from demo.stack.audit import Request

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: float) -> datetime:
    return BEGAN + timedelta(seconds=second)


def asked(second: float, process: str, resource: str = "leases", verb: str = "update", code: int = 200) -> Request:
    agent = f"tidegate/0.1.0 ({process})" if process else "kubectl/v1.36"
    return Request("sa", agent, verb, "", resource, "ops", "tidegate", code, False, "", at(second), "/")


SCALE, FLAGS, STATUS = "deployments/scale", "configmaps", "lagpolicies/status"
IN_ORDER = [
    asked(0, "a_1", verb="create", code=201),
    asked(1, "a_1", SCALE, "patch"),
    asked(2, "a_1"),
    asked(2.5, "b_2", verb="get"),
    asked(20, "b_2"),
    asked(21, "b_2", STATUS, "patch"),
    asked(22, "b_2", FLAGS, "patch"),
]


def test_terms_begin_with_the_first_write_of_another():
    assert [term.process for term in terms(writes(IN_ORDER))] == ["a_1", "b_2"]
    assert double_writes(writes(IN_ORDER)) == []


def test_a_write_in_anothers_term_is_out_of_turn_whatever_the_order_of_the_lines():
    late = asked(20.5, "a_1", SCALE, "patch")
    assert [write.process for write in double_writes(writes([late, *IN_ORDER]))] == ["a_1"]


def test_a_write_before_any_term_is_out_of_turn():
    assert double_writes(writes([asked(-1, "a_1", FLAGS, "patch"), *IN_ORDER]))


def test_what_was_refused_or_is_somebody_elses_does_not_count():
    others = [
        asked(20.5, "a_1", SCALE, "patch", 409),
        asked(20.6, "", SCALE, "patch"),
        asked(20.7, "a_1", SCALE, "get"),
    ]
    assert double_writes(writes([*IN_ORDER, *others])) == []


def test_the_next_decision_is_another_processs_act_or_status():
    written = writes(IN_ORDER)
    found = next_decision(written, at(1.5), "a_1")
    assert found
    assert found.at == at(21)
    assert next_decision(written, at(21.5), "b_2") is None


def judged(**changes: Any) -> dict[str, Any]:
    forced = [Handover(signal.SIGTERM, at(18.5), "a_1")]
    return judge(forced, writes(IN_ORDER), [3, 4]) | changes


def test_the_figures_are_those_of_the_result():
    result = judged()
    assert (result["handovers"], result["double_writes"], result["scale_ins_caused"]) == (1, 0, 0)
    assert result["takeover_seconds_max"] == result["kinds"]["SIGTERM"]["takeover_seconds_max"] == 2.5
    assert missed(result) == []


def test_a_replica_more_for_a_while_is_no_scale_in_of_the_surge():
    assert scale_ins([3, 4, 3, 5, 4, 3]) == []
    assert scale_ins([3, 2, 3, 4, 1]) == [2, 1]


def test_every_bar_can_be_missed():
    assert missed(judged(double_writes=1)) == ["double_writes: 1, at most 0"]
    slow = judge([Handover(signal.SIGTERM, at(3), "a_1")], writes(IN_ORDER), [4, 3])
    assert missed(slow) == ["scale_ins_caused: 1, at most 0", "SIGTERM: 18.0 s, at most 3"]
