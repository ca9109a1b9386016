"""How many writes a second there may be, and what a refusal says."""

import json

import pytest
from kubernetes.aio.client import ApiException

from tidegate.api import LagPolicyStatus, Reason
from tidegate.cluster.server import failed_test, refusal, transient, words
from tidegate.cluster.writing import Bucket, Key, Lane, Offered

RBAC = (
    'deployments.apps "web" is forbidden: User "system:serviceaccount:tidegate-system:tidegate" cannot patch resource '
    '"deployments/scale" in API group "apps" in the namespace "shop"'
)


# A bucket, as a time line


def test_a_bucket_lets_a_burst_go_and_then_so_many_a_second():
    bucket, now, gone = Bucket(rate=10, burst=5), 100.0, []
    while now < 102.0:
        wait = bucket.wait(now)
        if wait:
            now += wait
        else:
            bucket.take(now)
            gone.append(now)
    assert gone[:5] == [100.0] * 5
    assert len(gone) in range(24, 26)  # five, and ten in each of two seconds
    assert bucket.wait(200.0) == 0.0


def test_numbers_wait_while_what_is_urgent_goes():
    numbers = Lane(Bucket(rate=10, burst=1))
    urgent = Lane(Bucket(rate=50, burst=100), room=numbers.bucket)
    for number in range(20):
        urgent.waiting[Key("lagpolicies", "shop", "points", f"{number}")] = Offered(LagPolicyStatus())
    gone = [urgent.take(100.0)[0].uid for _ in range(20)]
    assert gone == [f"{number}" for number in range(20)]  # in order, all at once
    assert numbers.bucket.wait(100.0) == pytest.approx(2.0)  # the time in which twenty of them could have gone


def test_what_was_learned_is_written_as_it_is_by_then():
    learned = ["little"]
    waiting = Offered(LagPolicyStatus(), lambda: learned[-1])
    learned.append("much")
    assert waiting.whole() == LagPolicyStatus(memory="much")


# What a refusal says


def error(status_code: int, **body: object) -> ApiException:
    return ApiException(status=status_code, reason="Refused", body=json.dumps(body))


def test_a_missing_right_names_who_may_not_do_what_where():
    told = refusal(error(403, message=RBAC), "shop")
    assert told.reason is Reason.FORBIDDEN
    expected = (
        "ServiceAccount tidegate-system/tidegate may not patch deployments/scale in namespace shop (API group apps)"
    )
    assert told.message.startswith(expected)


def test_a_webhook_that_refuses_is_quoted():
    told = refusal(error(403, message='admission webhook "freeze" denied the request: change freeze'), "shop")
    assert told.message == (
        'an admission rule of the cluster refused: admission webhook "freeze" denied the request: change freeze'
    )


def test_words_are_found_whatever_answers():
    assert words(error(409, message="changed meanwhile")) == "changed meanwhile"
    assert words(ApiException(status=502, reason="Bad Gateway", body="<html>")) == "502 Bad Gateway"
    assert words(ApiException(status=502, reason="Bad Gateway", body='["a"]')) == "502 Bad Gateway"
    assert words(TimeoutError()) == "it did not answer in time"


@pytest.mark.parametrize(
    ("problem", "again"),
    [(error(500), True), (error(503), True), (error(429), True), (TimeoutError(), True), (error(403), False)],
)
def test_what_may_be_better_in_a_moment_is_tried_again(problem: Exception, again: bool):
    assert transient(problem) is again


def test_a_failed_test_of_a_patch_is_not_an_invalid_status():
    assert failed_test(error(422, message="the server rejected our request", details={}))
    assert not failed_test(error(422, message="invalid", details={"causes": [{"field": "status.brokers"}]}))
