"""Rules of the stack that need no server."""

import threading
from pathlib import Path

import pytest

from demo.stack.cache import cache_folder, made_once
from demo.stack.kubelet.environment import expand
from demo.stack.kubelet.states import ContainerState, phase, pod_status, with_transitions
from demo.stack.ports import Ports


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/tidegate")
    monkeypatch.setenv("TIDEGATE_CACHE", "/mine")
    assert cache_folder() == Path("/mine")


def test_of_two_that_want_the_same_one_makes_it_and_the_other_waits(tmp_path: Path):
    made, told, halfway, go_on = [], [], threading.Event(), threading.Event()

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "half").touch()
        halfway.set()
        assert go_on.wait(10)
        (folder / "whole").touch()

    def want() -> None:
        assert (made_once(tmp_path / "thing", make, told.append) / "whole").exists()

    first, second = (threading.Thread(target=want) for _ in range(2))
    first.start()
    assert halfway.wait(10)
    assert not (tmp_path / "thing").exists()
    second.start()
    while not told:
        second.join(0.01)
    go_on.set()
    first.join(10)
    second.join(10)
    assert len(made) == 1
    assert "Waiting for another process" in told[0]


def test_what_could_not_be_made_is_not_there_and_is_tried_again(tmp_path: Path):
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("no compiler")

    with pytest.raises(RuntimeError, match="no compiler"):
        made_once(tmp_path / "thing", fail, print)
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]
    assert made_once(tmp_path / "thing", lambda folder: (folder / "whole").touch(), print).is_dir()


def test_no_port_is_handed_out_twice():
    ones, others = Ports(), Ports()
    ports = [some.take() for some in (ones, others) for _ in range(50)]
    assert len(set(ports)) == 100
    ones.close()
    others.close()


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("$(WHO) and $(WHO)", "me and me"),
        ("$(NOBODY)", "$(NOBODY)"),
        ("$$(WHO) $$", "$(WHO) $"),
        ("$WHO ${WHO} $()", "$WHO ${WHO} $()"),
    ],
)
def test_references_in_values(text: str, means: str):
    assert expand(text, {"WHO": "me"}) == means


def container(name: str, *, ready: bool = True) -> ContainerState:
    state = ContainerState(name, "none")
    state.runs("process://1")
    state.ready = ready
    return state


def test_a_pod_runs_when_all_its_containers_have_and_ends_when_all_are_done():
    first, second = container("first"), ContainerState("second", "none")
    assert phase([first, second]) == "Pending"
    second.runs("process://2")
    assert phase([first, second]) == "Running"
    first.ends(0)
    first.done = True
    assert phase([first, second]) == "Running"
    second.ends(1)
    second.done = True
    assert phase([first, second]) == "Failed"


def test_a_pod_is_ready_when_every_container_is():
    def ready(*containers: ContainerState) -> str:
        conditions = pod_status([], containers, "2026-01-01T00:00:00Z", "127.64.0.1")["conditions"]
        return {one["type"]: one["status"] for one in conditions}["Ready"]

    assert ready(container("a"), container("b")) == "True"
    assert ready(container("a"), container("b", ready=False)) == "False"


def test_the_time_of_a_condition_moves_with_its_status_only():
    before = [{"type": "Ready", "status": "True", "lastTransitionTime": "then"}]
    (same,) = with_transitions([{"type": "Ready", "status": "True"}], before)
    (other,) = with_transitions([{"type": "Ready", "status": "False"}], before)
    assert same["lastTransitionTime"] == "then"
    assert other["lastTransitionTime"] != "then"
