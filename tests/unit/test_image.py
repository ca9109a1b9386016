"""The image's Dockerfile and locks keep up with the project."""

import re
import tomllib

import pytest

from tests.stack.dockerfile import CHECKOUT, pairs, sent, stages
from tidegate import __version__

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
PYTHON, BUILD, FINAL = stages((CHECKOUT / "Dockerfile").read_text())
IGNORE = (CHECKOUT / ".dockerignore").read_text()


def locked(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", (CHECKOUT / "requirements" / name).read_text(), re.MULTILINE))


def test_the_base_is_one_and_pinned_by_digest():
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64} AS python", PYTHON[0].rest)
    assert {BUILD[0].rest, FINAL[0].rest} == {"python AS build", "python"}


def test_the_labels_tell_the_version():
    assert ("ARG", f"VERSION={__version__}") in FINAL
    labels = pairs(next(rest for word, rest in FINAL if word == "LABEL"))
    assert labels["org.opencontainers.image.version"] == "$VERSION"
    assert labels["org.opencontainers.image.base.name"].endswith(PYTHON[0].rest.partition("@")[0])


@pytest.mark.parametrize("lock", ["run.txt", "build.txt"])
def test_the_image_has_the_versions_that_are_tested(lock: str):
    assert locked(lock).items() <= locked("dev.txt").items()


def test_every_dependency_is_locked_for_the_image():
    wanted = {re.split(r"[><=~! ]", one)[0] for one in PROJECT["project"]["dependencies"]}
    assert wanted <= locked("run.txt").keys()
    assert set(PROJECT["build-system"]["requires"]) <= set(PROJECT["dependency-groups"]["build"])


def test_locks_have_hashes_and_name_no_index():
    for lock in (CHECKOUT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "--index-url" not in text
        assert "://" not in text
        assert re.findall(r"==.*[^\\]\n", text) == [], "a line without a hash"


@pytest.mark.parametrize(
    ("path", "goes"),
    [
        ("operator/tidegate/cli/run.py", True),
        ("requirements/run.txt", True),
        ("requirements/dev.txt", False),
        ("operator/tidegate/__pycache__/__main__.cpython-313.pyc", False),
        (".git/config", False),
        ("tests/conftest.py", False),
        ("kubeconfig", False),
    ],
)
def test_only_what_is_needed_is_sent_to_the_builder(path: str, goes: bool):
    assert sent(path, IGNORE) is goes
