"""spec.behavior, for any story: loads, restarts, and persons who scale."""

from math import ceil, floor, inf

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.engine_world import T0, World, spec
from tests.unit.test_engine_behavior import DECLARED, percent_in, pods_in
from tidegate.api import Reason
from tidegate.engine import Memory

POLICY = st.builds(pods_in, st.integers(1, 4), st.sampled_from([15, 60, 180])) | st.builds(
    percent_in, st.sampled_from([10, 50, 100, 200]), st.sampled_from([15, 60, 180])
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "stabilizationWindowSeconds": st.sampled_from([0, 20, 90]),
        "selectPolicy": st.sampled_from(["Max", "Min", "Disabled"]),
        "policies": st.lists(POLICY, min_size=1, max_size=3),
    },
)
CHAPTERS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 60.0, 250.0, 500.0, 1500.0]),  # records/s
        st.integers(1, 12),  # readings
        st.sampled_from(["", "", "restart"]) | st.integers(0, 9),  # a person's number of replicas
    ),
    min_size=3,
    max_size=12,
)


def bound(rules: dict, started: dict[int, int], upwards: bool) -> float:
    """What the policies allow, computed once more and in floating point."""
    found = []
    for policy in rules.get("policies", ()):
        start, value = started[policy["periodSeconds"]], policy["value"]
        if policy["type"] == "Pods":
            found.append(start + value if upwards else start - value)
        elif upwards:
            found.append(max(1, ceil(round(start * (1 + value / 100), 6))))
        else:
            found.append(floor(round(start * (1 - value / 100), 6)))
    if not found:
        return inf if upwards else -inf
    most_change = max if upwards else min
    least_change = min if upwards else max
    return (least_change if rules.get("selectPolicy") == "Min" else most_change)(found)


@settings(max_examples=40, deadline=None)
@given(RULES, RULES, CHAPTERS, st.integers(0, 1))
@example({"policies": [pods_in(1, 15)]}, {}, [(1500.0, 1, 0), (0.0, 2, 1), (0.0, 3, 0)], 0)
def test_whatever_happens_no_period_ever_sees_more_change_than_its_policies_allow(upwards, downwards, chapters, least):
    behavior = {"scaleUp": upwards, "scaleDown": downwards}
    policy = spec("60s", least=least, most=12, behavior=behavior, **DECLARED)
    load = [0.0]
    world = World(arrivals=lambda t: load[0], partitions=12, replicas=3, max_age=60, dt=1.0)

    world.decide(policy)  # what was before the first look, nobody knows

    def replicas_ago(seconds: float) -> int:
        then = world.now - T0 - seconds
        return next((after for at, _, after in reversed(world.changes) if at <= then), 3)

    for records, readings, event in chapters:
        load[0] = records
        if event == "restart":
            world.memory = Memory.load(world.memory.dump())
        elif event != "" and event != world.replicas:
            world.scale(event)
        for _ in range(readings):
            world.advance(5)
            asked, started = world.replicas, {period: replicas_ago(period) for period in (15, 60, 180)}
            decision = world.decide(policy)
            if decision.replicas is None or decision.reason in (Reason.MIN_REPLICAS, Reason.MAX_REPLICAS):
                continue
            more = decision.replicas > asked
            rules = upwards if more else downwards
            assert rules.get("selectPolicy") != "Disabled"
            limit = bound(rules, started, more)
            assert decision.replicas <= limit if more else decision.replicas >= limit
