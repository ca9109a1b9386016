"""Settings: flags, then the environment, then defaults; a wrong one is named."""

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from tidegate.cli.main import app
from tidegate.cluster.lease import LeaseName
from tidegate.controllers.settings import Address, LogFormat, Settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TIDEGATE_{name.upper()}", raising=False)


def test_with_nothing_said_all_namespaces_are_served_every_five_seconds():
    settings = Settings()
    assert (settings.namespaces, settings.period, settings.listen) == ((), 5.0, Address("", 8080))
    assert (settings.ofrep_listen, settings.ofrep_token_file) == (None, None)


def test_the_environment_sets_and_flags_go_before_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIDEGATE_NAMESPACES", "shop, bank,")
    monkeypatch.setenv("TIDEGATE_PERIOD", "10")
    monkeypatch.setenv("TIDEGATE_LOG_FORMAT", "json")
    settings = Settings(period=2)
    assert settings.namespaces == ("shop", "bank")
    assert settings.period == 2
    assert settings.log_format is LogFormat.JSON


@pytest.mark.parametrize(
    ("text", "address"),
    [(":8080", Address("", 8080)), ("127.0.0.1:0", Address("127.0.0.1", 0)), ("[::1]:8080", Address("::1", 8080))],
)
def test_addresses(text: str, address: Address):
    assert Settings(listen=text).listen == address


@pytest.mark.parametrize("text", ["8080", "host:", "host:http", ":65536", ":-1", ""])
def test_what_is_not_an_address_is_refused_with_an_example(text: str):
    with pytest.raises(ValidationError, match=r"such as 127\.0\.0\.1:8080"):
        Settings(listen=text)


def test_a_lease_is_named_with_its_namespace():
    assert Settings().lease is None
    assert Settings(lease="ops/tide.gate-2").lease == LeaseName("ops", "tide.gate-2")


@pytest.mark.parametrize("text", ["", "ops", "/tidegate", "ops/", "ops/a/b", "Ops/tidegate", "ops/tide_gate", "o.p/x"])
def test_what_is_no_lease_is_refused_with_an_example(text: str):
    with pytest.raises(ValidationError, match="such as tidegate-system/tidegate"):
        Settings(lease=text)


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--lease", "tidegate"], {}, "--lease: 'tidegate' is not a Lease: write NAMESPACE/NAME"),
        (["--period", "0"], {}, "--period: "),
        (["--listen", "8080"], {}, "--listen: '8080' is not an address"),
        (["--ofrep-listen", "8016"], {}, "--ofrep-listen: '8016' is not an address"),
        (["-n", "Shop"], {}, "--namespace: "),
        ([], {"TIDEGATE_PERIOD": "often"}, "TIDEGATE_PERIOD: "),
        ([], {"TIDEGATE_LOG_LEVEL": "loud"}, "TIDEGATE_LOG_LEVEL: "),
    ],
)
def test_a_wrong_setting_ends_the_command_and_is_named_as_it_was_given(
    arguments: list[str], environment: dict[str, str], said: str
):
    result = CliRunner().invoke(app, ["run", *arguments], env=environment)
    assert result.exit_code == 2
    assert said in result.output


def test_a_missing_kubeconfig_is_said_in_one_line(tmp_path):
    result = CliRunner().invoke(app, ["run", "--kubeconfig", str(tmp_path / "absent"), "--listen", "127.0.0.1:0"])
    assert result.exit_code == 1
    assert "No Kubernetes API server to talk to" in result.output
    assert "Traceback" not in result.output


def test_help_names_every_setting_and_its_variable():
    text = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"}).output
    for name in Settings.model_fields:
        assert f"TIDEGATE_{name.upper()}" in text
