"""What is made of a watch's events, and the thread that blocking clients live in."""

import itertools
import json
import logging
import threading

import kopf
import pytest

from tidegate.controllers.logs import JsonFormatter
from tidegate.controllers.shelf import Name
from tidegate.controllers.thread import Worker
from tidegate.controllers.watching import LONGEST_BACKOFF, Backoffs, Watched, build_registry, sighting

PODS = Watched("", "v1", "pods", lambda body: body["metadata"]["labels"])
BODY = {
    "metadata": {"namespace": "shop", "name": "points-0", "uid": "u1", "resourceVersion": "17", "labels": {"a": "b"}},
    "spec": {"containers": ["much that is not kept"]},
}


def test_only_what_is_distilled_is_kept_of_an_object():
    seen = sighting(PODS, "MODIFIED", BODY)
    assert (seen.value, seen.name, seen.version, seen.gone) == ({"a": "b"}, Name("shop", "points-0"), 17, False)


def test_nothing_is_kept_of_an_object_that_is_gone():
    seen = sighting(PODS, "DELETED", BODY)
    assert (seen.value, seen.gone) == (None, True)


def test_objects_of_a_listing_have_no_event_type():
    assert not sighting(PODS, None, BODY).gone


@pytest.mark.parametrize(
    ("kind", "namespace", "path"),
    [
        (PODS, None, "/api/v1/pods"),
        (PODS, "shop", "/api/v1/namespaces/shop/pods"),
        (Watched("apps", "v1", "deployments", dict), None, "/apis/apps/v1/deployments"),
        (Watched("apps", "v1", "deployments", dict), "shop", "/apis/apps/v1/namespaces/shop/deployments"),
    ],
)
def test_where_kinds_are_listed(kind: Watched, namespace: str | None, path: str):
    assert kind.path(namespace) == path


def test_backoffs_grow_to_their_limit_and_never_end():
    delays = list(itertools.islice(Backoffs(), 1000))
    assert delays[0] < 1
    assert max(delays) <= LONGEST_BACKOFF * 1.2
    assert min(delays[10:]) >= LONGEST_BACKOFF * 0.8


def test_no_handler_of_ours_is_edge_triggered_so_nothing_gets_a_finalizer_or_an_annotation():
    async def login() -> kopf.ConnectionInfo:
        raise AssertionError

    registry = build_registry((PODS,), login, lambda _: None)
    assert len(registry._watching.get_all_handlers()) == 1
    assert not registry._changing.get_all_handlers()
    assert not registry._spawning.get_all_handlers()


async def test_a_worker_does_one_thing_at_a_time_in_one_thread_and_raises_what_was_raised():
    worker = Worker("test")
    threads = {await worker.call(threading.get_ident) for _ in range(3)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    with pytest.raises(ZeroDivisionError):
        await worker.call(divmod, 1, 0)
    ended = threading.Event()
    worker.later(lambda: 1 / 0)  # logged, and no reason to end
    worker.later(ended.set)
    worker.stop()
    assert ended.wait(10)


def test_a_json_line_has_what_the_line_is_about():
    record = logging.LogRecord("tidegate", logging.INFO, "f.py", 1, "scaled to %d", (3,), None)
    record.about = {"policy": "shop/points"}
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == "scaled to 3"
    assert line["policy"] == "shop/points"
    assert line["level"] == "info"
    assert line["time"].endswith("Z")
