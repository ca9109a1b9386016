"""The operator serves flags to a real OpenFeature provider: with its rights in production, and without any broker."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.exception import ErrorCode

from demo.stack import Stack
from tests.e2e.operator_process import CHECKOUT, Process, service_account_kubeconfig
from tests.waiting import eventually

FLAG = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
LADDER = {"flagsRef": {"name": "points"}, "levels": [{"name": "Less", "flags": {"recommendations": "off"}}]}
POLICY = {
    "targetRef": {"name": "consumer"},
    "source": {"kafka": {"connectionRef": {"name": "nobody-there"}, "group": "points"}},
    "objective": {"maxAge": "60s"},
    "replicas": {"max": 3},
    "degradation": LADDER,
}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    return path


@pytest.fixture
def serving(installed: Stack, namespace: str, tmp_path: Path, token_file: Path) -> Iterator[Process]:
    arguments = ("--namespace", namespace, "--ofrep-listen", "127.0.0.1:0", "--ofrep-token-file", str(token_file))
    operator = Process(installed, tmp_path, *arguments)
    operator.start()
    yield operator
    print("\n".join(operator.lines[-100:]))
    assert operator.stop() == 0


def client_of(operator: Process, namespace: str) -> OpenFeatureClient:
    found = (re.search(r"serving OFREP .* on port (\d+)", line) for line in operator.lines)
    port = next(match[1] for match in found if match)
    base = f"http://127.0.0.1:{port}/namespaces/{namespace}/ConfigMap/points"
    provider = OFREPProvider(base, headers_factory=lambda: {"Authorization": "Bearer s3cret"})
    api.set_provider_and_wait(provider, namespace)
    return api.get_client(namespace)


def test_a_flag_switched_in_the_configmap_is_seen_without_any_broker(
    serving: Process, installed: Stack, namespace: str
):
    client = client_of(serving, namespace)
    before = client.get_boolean_details("recommendations", False)
    assert (before.value, before.error_code) == (False, ErrorCode.FLAG_NOT_FOUND)  # nobody has named any flags yet
    text = json.dumps({"flags": {"recommendations": FLAG}})
    metadata = {"namespace": namespace}
    broker = {"kafka": {"bootstrapServers": ["127.0.0.1:1"]}}
    ours = {"apiVersion": "tidegate.dev/v1alpha1"}
    installed.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata | {"name": "points"},
            "data": {"flags.json": text},
        },
        ours | {"kind": "BrokerConnection", "metadata": metadata | {"name": "nobody-there"}, "spec": broker},
        ours | {"kind": "LagPolicy", "metadata": metadata | {"name": "points"}, "spec": POLICY},
    )
    eventually(lambda: client.get_boolean_value("recommendations", False), seconds=30)
    switched = json.dumps({"data": {"flags.json": text.replace('"defaultVariant": "on"', '"defaultVariant": "off"')}})
    installed.kubectl("patch", "configmap", "points", "-n", namespace, "--type=merge", "-p", switched)
    began = time.monotonic()
    eventually(lambda: client.get_boolean_details("recommendations", True).variant == "off", seconds=30)
    print(f"seen {time.monotonic() - began:.2f} s after kubectl had written it")
    assert client.get_boolean_value("recommendations", True) is False
    assert client.get_boolean_details("receipts", True).error_code == ErrorCode.FLAG_NOT_FOUND


def test_a_token_file_that_is_not_there_ends_the_start_with_a_word(installed: Stack, tmp_path: Path):
    kubeconfig = service_account_kubeconfig(installed, tmp_path / "operator.kubeconfig")
    command = [sys.executable, "-m", "tidegate", "run", "--kubeconfig", str(kubeconfig), "--listen", "127.0.0.1:0"]
    command += ["--ofrep-listen", "127.0.0.1:0", "--ofrep-token-file", str(tmp_path / "absent")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=CHECKOUT)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"tidegate: cannot read the token file {tmp_path / 'absent'}: No such file or directory"
    )
