"""What the Dockerfile makes: built by its own commands, and run as Kubernetes would run it."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import yaml

from demo.stack import Stack
from tests.stack.dockerfile import CHECKOUT, Build, pairs, stages
from tests.waiting import eventually

_, BUILD, FINAL = stages((CHECKOUT / "Dockerfile").read_text())
USER = 65532

CONFINED = """
mount -o remount,bind,ro /
exec setpriv --reuid "$0" --regid "$0" --clear-groups --no-new-privs \
  --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search "$@"
"""
"""The disk read-only and the user nobody. It may still look into folders that are only root's: this checkout may be in
one, and Python itself."""

DISTRIBUTIONS = """
import importlib.metadata as m, json
print(json.dumps({d.metadata["Name"].lower().replace("_", "-"): d.version for d in m.distributions()}))
"""

IMPORTED = "import time; import tidegate.controllers.operator; print(time.process_time())"


@pytest.fixture(scope="module")
def image() -> Iterator[Build]:
    """The image, in a folder that every user may look into."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-image-"))
    folder.chmod(0o755)
    try:
        build = Build(folder)
        build.carry_out(BUILD)
        build.carry_out(FINAL)
        yield build
    finally:
        shutil.rmtree(folder)


@pytest.mark.timeout(900)  # of the first one, which builds
def test_it_has_what_the_lock_says_and_nothing_else(image: Build):
    found = json.loads(run(image, "python", "-c", DISTRIBUTIONS))
    assert found.pop("tidegate") == run(image, "tidegate", "--version").split()[1]
    assert found == locked()
    assert not {"pip", "uv", "numpy", "matplotlib", "pytest"} & found.keys()


def test_nothing_can_be_installed_there_any_more(image: Build):
    base = image.folder / "usr" / "local" / "bin" / "python"
    for python in (base, image.venv / "bin" / "python"):
        done = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, text=True)
        assert "No module named pip" in done.stderr


def test_the_wheel_is_whole(image: Build):
    (wheel,) = (image.folder / "src" / "dist").glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("tidegate/")}
    sources = (path for path in (CHECKOUT / "operator").rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert packed == {str(path.relative_to(CHECKOUT / "operator")) for path in sources}


def test_every_user_may_read_it(image: Build):
    modes = {path: path.stat().st_mode for path in image.venv.rglob("*") if path.name != ".lock"}
    as_owner = {path: mode >> 6 & 0o5 for path, mode in modes.items()}
    assert [path for path, mode in modes.items() if mode & 0o5 != as_owner[path]] == []


def test_what_is_not_in_it_is_named(image: Build):
    policy = CHECKOUT / "examples" / "minimal.yaml"
    command = ["tidegate", "simulate", "--policy", str(policy), "--trace", "trace.csv"]
    done = subprocess.run(command, env=environment(image), capture_output=True, text=True)
    assert done.returncode
    assert "pip install 'tidegate[simulate]'" in done.stderr


def test_it_runs_as_nobody_without_a_place_to_write(image: Build, stack: Stack, tmp_path: Path):
    assert ("USER", f"{USER}:{USER}") in FINAL
    assert ("ENTRYPOINT", '["tidegate"]') in FINAL
    stack.apply(CHECKOUT / "crds")
    stack.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=180s")
    access, log = kubeconfig(stack, image.folder / "etc"), tmp_path / "log"
    before = sorted(image.folder.rglob("*"))
    with running(image, log, "run", "--kubeconfig", str(access), "--listen", "127.0.0.1:0") as process:
        eventually(lambda: ready(process, log), seconds=240)
        assert owner(process.pid) == (USER if may_confine() else os.getuid())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert sorted(image.folder.rglob("*")) == before


def test_its_figures(image: Build):
    size = sum(path.stat().st_size for path in image.venv.rglob("*") if path.is_file())
    cpu = float(run(image, "python", "-c", IMPORTED))
    told = {"python": run(image, "python", "-V").split()[1], "venvMegabytes": size / 1e6, "importCpuSeconds": cpu}
    (CHECKOUT / "build").mkdir(exist_ok=True)
    (CHECKOUT / "build" / "image.json").write_text(json.dumps(told, indent=2) + "\n")
    assert told["venvMegabytes"] < 200, "something large has come into the image"


def environment(image: Build) -> dict[str, str]:
    """What the Dockerfile sets, and nothing of this machine's."""
    return {name: image.env[name] for word, rest in FINAL if word == "ENV" for name in pairs(rest)}


def run(image: Build, *command: str) -> str:
    """What a command of the image prints."""
    return subprocess.run(command, env=environment(image), stdout=subprocess.PIPE, text=True, check=True).stdout


def locked() -> dict[str, str]:
    """requirements/run.txt on Linux: distribution → version."""
    lines = (CHECKOUT / "requirements" / "run.txt").read_text()
    found = re.findall(r"^([a-z0-9-]+)==(\S+)(?: ; (.*))? \\$", lines, re.MULTILINE)
    elsewhere = {only for _, _, only in found if only} - {"sys_platform == 'win32'"}
    assert not elsewhere, "a marker that this test does not know: say here whether the image has it"
    return {name: version for name, version, only in found if not only}


@contextmanager
def running(image: Build, log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The entry point as Kubernetes starts it; it ends with the block."""
    nobody = ["unshare", "--mount", "--propagation", "private", "sh", "-c", CONFINED, str(USER)]
    command = [*(nobody if may_confine() else []), str(image.venv / "bin" / "tidegate"), *arguments]
    env = environment(image)
    env["PATH"] += ":/usr/bin:/bin:/usr/sbin:/sbin"
    with log.open("wb") as lines:
        process = subprocess.Popen(command, cwd="/", env=env, stdin=subprocess.DEVNULL, stdout=lines, stderr=lines)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@cache
def may_confine() -> bool:
    """Whether a process can be given a read-only disk and another user: root can, but not in every container."""
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", CONFINED, str(USER), "true"]
    return os.getuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0


def owner(pid: int) -> int:
    """The user that a process runs as."""
    return os.stat(f"/proc/{pid}").st_uid if sys.platform == "linux" else os.getuid()


def ready(process: subprocess.Popen[bytes], log: Path) -> bool:
    """Whether /readyz says so."""
    if process.poll() is not None:
        pytest.fail(f"it has ended:\n{log.read_text()}")
    port = re.search(r"/readyz.* on port (\d+)", log.read_text())
    if port is None:
        return False
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from None
    except OSError:
        return False


def kubeconfig(stack: Stack, folder: Path) -> Path:
    """A token and a file with the authority, as a pod has them: nothing that has to be unpacked into a file first."""
    folder.mkdir()
    config = yaml.safe_load(stack.kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    if data := cluster.pop("certificate-authority-data", None):
        (folder / "ca.crt").write_bytes(base64.b64decode(data))
        cluster["certificate-authority"] = str(folder / "ca.crt")
    account = "system:serviceaccount:default:image"
    stack.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "image", "namespace": "default"}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "image-test"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "User", "name": account, "apiGroup": "rbac.authorization.k8s.io"}],
        },
    )
    token = stack.kubectl("create", "token", "image", "-n", "default", "--duration=1h").strip()
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
