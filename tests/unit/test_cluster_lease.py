"""The Lease: who holds it, from when to when, whatever the network does."""

import asyncio
import json
from collections.abc import Iterator
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.aio.client import ApiClient, ApiException, Configuration

from tests.unit.lease_world import Process, Server, Trip, now, play
from tidegate.cluster.fence import Alone, FencedClient, NotLeadingError
from tidegate.cluster.lease import DURATION, LOOK_EVERY, RENEW_WITHIN, SPARE
from tidegate.cluster.server import FAILURES, request, status_of, transient, words

A_LOOK = 1.2 * LOOK_EVERY + 0.1
LOST = Trip(inf, inf)
UNANSWERED = Trip(0.01, inf)


def test_a_lease_that_is_not_there_is_made_and_held():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1")
        await asyncio.sleep(0.1)
        assert first.acts
        assert (server.spec["holderIdentity"], server.spec["leaseTransitions"]) == ("first_1", 0)
        assert server.spec["leaseDurationSeconds"] == DURATION
        began = server.spec["acquireTime"]
        await asyncio.sleep(60)
        assert first.acts
        assert server.spec["acquireTime"] == began < server.spec["renewTime"]

    play(story())


def test_who_is_killed_is_followed_when_its_lease_has_not_changed_for_so_long():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1")
        await asyncio.sleep(0.1)
        second = Process(server, "second_2")
        await asyncio.sleep(30)
        assert first.acts
        assert not second.elector.leads
        await first.kill()
        killed = now()
        await asyncio.sleep(DURATION - 2.1)
        assert not second.elector.leads
        await asyncio.sleep(2.1 + A_LOOK)
        assert second.acts
        assert second.acquired is not None
        assert second.acquired - killed <= DURATION + A_LOOK
        assert (server.spec["holderIdentity"], server.spec["leaseTransitions"]) == ("second_2", 1)

    play(story())


def test_who_ends_in_order_is_followed_at_the_next_look():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1")
        await asyncio.sleep(0.1)
        second = Process(server, "second_2")
        await asyncio.sleep(10)
        await first.leave()
        assert not first.acts
        assert server.spec["holderIdentity"] == ""
        await asyncio.sleep(A_LOOK)
        assert second.acts
        assert server.spec["leaseTransitions"] == 1

    play(story())


@pytest.mark.parametrize("seconds", [5, 60, 300])
def test_the_duration_of_anothers_record_counts_not_ones_own(seconds: int):
    async def story() -> None:
        server = Server()
        server.put(holderIdentity="somebody_9", leaseDurationSeconds=seconds, leaseTransitions=4)
        waiting = Process(server, "waiting_1")
        await asyncio.sleep(seconds - 0.1)
        assert not waiting.elector.leads
        await asyncio.sleep(0.1 + A_LOOK)
        assert waiting.acts
        assert server.spec["leaseTransitions"] == 5

    play(story())


def test_a_restart_does_not_take_the_times_in_the_record_for_its_own():
    """They are by another's clock, which may be an hour off."""

    async def story() -> None:
        server = Server()
        long_ago = "2001-01-01T00:00:00.000001Z"
        server.put(holderIdentity="somebody_9", leaseDurationSeconds=15, renewTime=long_ago, acquireTime=long_ago)
        waiting = Process(server, "waiting_1")
        await asyncio.sleep(14)
        assert not waiting.elector.leads

    play(story())


@pytest.mark.parametrize("fate", [LOST, UNANSWERED])
def test_one_lost_renewal_or_its_answer_changes_nothing(fate: Trip):
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1", [Trip(), Trip(), Trip(), fate])
        second = Process(server, "second_2")
        for _ in range(300):
            await asyncio.sleep(0.1)
            assert first.acts
        assert first.lost is None
        assert second.acquired is None

    play(story())


def test_an_acquisition_whose_answer_is_lost_is_ours_once_we_see_it():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1", [Trip(), UNANSWERED])
        await asyncio.sleep(5)
        assert server.spec["holderIdentity"] == "first_1"
        assert not first.elector.leads  # it does not know
        await asyncio.sleep(1)
        assert first.acts

    play(story())


def test_without_an_answer_it_stops_before_the_others_may_begin():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1")
        second = Process(server, "second_2")
        await asyncio.sleep(20)
        first.line.error = OSError("no route to host")
        last = now()
        await asyncio.sleep(RENEW_WITHIN - SPARE)
        assert not first.acts  # no write begins that could be late
        await asyncio.sleep(SPARE + 0.1)
        assert first.lost == "the Lease could not be renewed for 10 s: no route to host"
        assert first.elector.left() == 0
        assert second.acquired is None
        await asyncio.sleep(DURATION)
        assert second.acquired is not None
        assert second.acquired >= last + DURATION - 2.1

    play(story())


def test_an_outage_that_is_over_in_time_costs_nothing_but_the_last_second():
    async def story() -> None:
        first = Process(Server(), "first_1")
        await asyncio.sleep(4)
        await first.renewal()
        first.line.error = OSError("no route to host")
        await asyncio.sleep(RENEW_WITHIN - 0.7)
        assert first.elector.leads
        assert not first.acts
        first.line.error = None
        await asyncio.sleep(0.6)
        assert first.acts
        assert first.lost is None

    play(story())


def test_who_sees_another_in_the_lease_acts_no_more_at_once():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1")
        await asyncio.sleep(5)
        server.put(holderIdentity="retire_7")
        await asyncio.sleep(2.6)
        assert first.lost == "retire_7 has taken the Lease"
        assert not first.acts

    play(story())


def test_somebody_who_labels_the_lease_is_not_somebody_who_takes_it():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1")
        await asyncio.sleep(5)
        assert server.body
        server.replace({"labels": {"team": "streams"}}, server.spec)
        await asyncio.sleep(10)
        assert first.acts
        assert first.lost is None
        assert server.body["metadata"]["labels"] == {"team": "streams"}

    play(story())


def test_a_deleted_lease_is_made_anew_by_its_holder():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1")
        await asyncio.sleep(0.1)
        second = Process(server, "second_2")
        await asyncio.sleep(5.1)
        server.body = None
        await asyncio.sleep(10)
        assert first.acts
        assert second.acquired is None

    play(story())


def test_a_deleted_lease_of_a_dead_holder_is_made_anew_when_its_time_is_over():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1")
        await asyncio.sleep(0.1)
        second = Process(server, "second_2")
        await asyncio.sleep(5)
        await first.kill()
        server.body = None
        await asyncio.sleep(RENEW_WITHIN)
        assert second.acquired is None
        await asyncio.sleep(DURATION - RENEW_WITHIN + A_LOOK)
        assert second.acts

    play(story())


def test_who_deletes_a_lease_that_is_held_for_long_need_not_wait_for_all_of_that():
    async def story() -> None:
        server = Server()
        server.put(holderIdentity="somebody_9", leaseDurationSeconds=3600)
        waiting = Process(server, "waiting_1")
        await asyncio.sleep(5)
        server.body = None
        await asyncio.sleep(RENEW_WITHIN)
        assert waiting.acquired is None
        await asyncio.sleep(DURATION - RENEW_WITHIN + 2 * A_LOOK)
        assert waiting.acts

    play(story())


def test_a_missing_right_is_named_until_it_is_granted():
    async def story() -> None:
        first = Process(Server(), "first_1")
        said = (
            'User "system:serviceaccount:ops:tidegate" cannot get resource "leases" in API group "coordination.k8s.io"'
        )
        first.line.error = ApiException(status=403, body=json.dumps({"message": said}))
        await asyncio.sleep(5)
        assert first.elector.problem is not None
        assert "ServiceAccount ops/tidegate may not get leases in namespace ops" in first.elector.problem
        first.line.error = None
        await asyncio.sleep(1)
        assert first.elector.problem is None
        assert first.acts

    play(story())


def test_who_seizes_it_waits_until_the_one_before_has_certainly_stopped():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1")
        await asyncio.sleep(4)
        first.line.error = OSError("cut off")  # it cannot even see that it has lost
        retire = Process(server, "retire_7")
        await retire.kill()
        began = now()
        await retire.elector.seize(120)
        assert now() - began >= RENEW_WITHIN
        assert not first.acts
        assert retire.acts
        late = Process(server, "late_3")
        await asyncio.sleep(110)
        assert late.acquired is None
        assert not retire.acts  # nobody renews it

    play(story())


def test_seizing_what_nobody_holds_takes_no_time():
    async def story() -> None:
        retire = Process(Server(), "retire_7")
        await retire.kill()
        await retire.elector.seize(120)
        assert now() < 1
        assert retire.acts

    play(story())


def test_who_retires_it_stops_at_once_and_nobody_else_begins_for_that_long():
    async def story() -> None:
        server = Server()
        retire = Process(server, "retire_7")
        await retire.kill()
        await retire.elector.seize(600)
        late = Process(server, "late_3")
        await asyncio.sleep(30)
        began = now()
        await retire.elector.retire(120)
        assert server.spec["holderIdentity"] == "retired"
        assert not retire.acts
        await asyncio.sleep(118)
        assert late.acquired is None
        await asyncio.sleep(5)
        assert late.acquired is not None
        assert 120 <= late.acquired - began < 123

    play(story())


def test_who_begins_long_after_it_was_retired_need_not_wait():
    async def story() -> None:
        server = Server()
        retire = Process(server, "retire_7")
        await retire.kill()
        await retire.elector.seize(600)
        await retire.elector.retire(120)
        await asyncio.sleep(3600)
        began = now()
        anew = Process(server, "anew_9")
        await asyncio.sleep(3)
        assert anew.acquired is not None
        assert anew.acquired - began < 3

    play(story())


@pytest.mark.parametrize("renewed", [None, "2099-01-01T00:00:00.000001Z"])
def test_a_retired_lease_that_says_nothing_of_its_time_or_comes_from_the_future_is_waited_for_once(renewed: str | None):
    async def story() -> None:
        server = Server()
        server.put(holderIdentity="retired", leaseDurationSeconds=120, renewTime=renewed)
        anew = Process(server, "anew_9")
        await asyncio.sleep(118)
        assert anew.acquired is None
        await asyncio.sleep(5)
        assert anew.acquired is not None

    play(story())


def test_what_another_has_taken_meanwhile_is_not_retired():
    async def story() -> None:
        server = Server()
        retire = Process(server, "retire_7")
        await retire.kill()
        await retire.elector.seize(600)
        server.put(holderIdentity="other_2")
        await retire.elector.retire(120)
        assert server.spec["holderIdentity"] == "other_2"

    play(story())


def test_an_attempt_to_seize_it_that_was_cut_short_does_not_count_as_ours_at_the_next_one_and_can_be_given_back():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1")
        await asyncio.sleep(4)
        first.line.error = OSError("cut off")
        retire = Process(server, "retire_7")
        await retire.kill()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):  # written, but nobody knows yet that the first one has stopped
                await retire.elector.seize(120)
        assert server.spec["holderIdentity"] == "retire_7"
        assert not retire.acts
        began = now()
        await retire.elector.seize(120)
        assert now() - began >= RENEW_WITHIN
        await retire.elector.release()
        assert server.spec["holderIdentity"] == ""

    play(story())


def test_a_seizure_that_was_cut_short_is_given_back():
    async def story() -> None:
        server = Server()
        Process(server, "first_1")
        await asyncio.sleep(4)
        retire = Process(server, "retire_7")
        await retire.kill()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await retire.elector.seize(120)
        await retire.elector.release()
        assert server.spec["holderIdentity"] == ""

    play(story())


def test_a_release_that_meets_a_renewal_under_way_is_tried_again():
    async def story() -> None:
        server = Server()
        first = Process(server, "first_1", [Trip(), Trip(), Trip(0.05, 0.3)])
        await asyncio.sleep(2.15)  # the renewal has arrived, its answer has not
        await first.leave()
        assert server.spec["holderIdentity"] == ""

    play(story())


def test_a_release_without_an_answer_holds_up_nobody():
    async def story() -> None:
        first = Process(Server(), "first_1", [Trip(), Trip(), LOST])
        await asyncio.sleep(1)
        await first.leave()
        assert now() < 2.1
        assert not first.acts

    play(story())


def test_who_never_held_it_releases_nothing():
    async def story() -> None:
        server = Server()
        server.put(holderIdentity="somebody_9", leaseDurationSeconds=15)
        waiting = Process(server, "waiting_1")
        await asyncio.sleep(3)
        await waiting.leave()
        assert server.spec["holderIdentity"] == "somebody_9"

    play(story())


# whatever happens


def weather(chance: Random) -> Iterator[Trip]:
    """The way to the server as time goes by: good for a while, then slow, or without requests, or without answers."""
    until, trouble = 0.0, False
    way = Trip()
    while True:
        if now() >= until:
            trouble = not trouble and now() > 0
            until = now() + chance.uniform(1, 25 if trouble else 60)
            slow = Trip(chance.uniform(0, 9), chance.uniform(0, 9))
            way = chance.choice([slow, LOST, UNANSWERED]) if trouble else Trip(chance.uniform(0, 0.3), 0.01)
        yield way


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_never_two_who_may_act(seed):
    chance = Random(seed)
    rates = [chance.uniform(0.87, 1.13) for _ in range(2)]  # real clocks differ by less than a thousandth of that
    happenings = [(chance.uniform(0.1, 30), chance.choice(["kill", "leave", "touch", ""])) for _ in range(8)]

    async def story() -> None:
        server, everybody, both = Server(), list[Process](), list[float]()

        def check() -> None:
            if sum(process.acts for process in everybody) > 1:
                both.append(now())

        def start(place: int) -> Process:
            process = Process(server, f"p{place}-{len(everybody)}", weather(chance), rates[place])
            process.line.answered = check
            everybody.append(process)
            return process

        places = [start(0), start(1)]
        for number, (pause, what) in enumerate(happenings):
            await asyncio.sleep(pause)
            place = chance.choice([0, 1])
            if what == "leave" and not places[place].lost:
                await places[place].leave()
            elif what == "kill" or places[place].lost:
                await places[place].kill()
                everybody.remove(places[place])
            else:
                if server.body and what:
                    server.replace({"labels": {"n": str(number)}}, server.spec)
                continue
            places[place] = start(place)
        await _settles(server, places)
        assert not both

    play(story())


async def _settles(server: Server, places: list[Process]) -> None:
    """When the network has no more surprises one of them leads, and goes on leading."""
    for process in places:
        process.line.trips = iter(())
    await asyncio.sleep(25)
    places[:] = [Process(server, f"{n}-again") if process.lost else process for n, process in enumerate(places)]
    await asyncio.sleep(20 / 0.87)
    leading = [process for process in places if process.acts]
    assert len(leading) == 1
    await asyncio.sleep(60)
    assert leading[0].acts


# the fence


class Tenure(Alone):
    def __init__(self, left: float) -> None:
        self._left = left

    def left(self) -> float:
        return self._left

    def may_act(self) -> bool:
        return self._left > SPARE


@pytest.fixture
def sent(monkeypatch):
    """The requests that have left the process: method and timeout."""
    calls = []

    async def call(self, method, url, *arguments, _request_timeout=None, **options):
        calls.append((method, _request_timeout))
        raise OSError("sent")

    monkeypatch.setattr(ApiClient, "call_api", call)
    return calls


async def _try(tenure, method: str) -> BaseException:
    async with FencedClient(Configuration(host="https://127.0.0.1:1"), tenure) as api:
        with pytest.raises(FAILURES) as error:
            await request(api, method, "/api/v1/namespaces/shop/configmaps/flags", body={} if method != "GET" else None)
        return error.value


async def test_without_the_lease_nothing_is_sent_but_reads(sent):
    for left in (0.0, SPARE):
        for method in ("PUT", "POST", "PATCH", "DELETE"):
            error = await _try(Tenure(left), method)
            assert isinstance(error, NotLeadingError)
            assert not transient(error)
            assert status_of(error) == 0
            assert "does not hold the Lease" in words(error)
        await _try(Tenure(left), "GET")
    assert sent == [("GET", 10.0), ("GET", 10.0)]


async def test_a_write_waits_for_its_answer_no_longer_than_the_lease_is_ours(sent):
    await _try(Tenure(4.5), "PATCH")
    await _try(Tenure(60.0), "PATCH")
    await _try(Alone(), "PATCH")
    assert sent == [("PATCH", 4.5), ("PATCH", 10.0), ("PATCH", 10.0)]
