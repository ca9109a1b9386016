"""`tidegate retire` as a person calls it; what it does is in tests/stack/test_retire.py."""

import pytest
from typer.testing import CliRunner

from tidegate.cli.main import app


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--within", "5s"], "5s is not from 15s to 1h"),
        (["--within", "2h"], "2h is not from 15s to 1h"),
        (["--within", "soon"], "'soon'"),
        (["--lease", "tidegate"], "--lease: 'tidegate' is not a Lease: write NAMESPACE/NAME"),
        (["--namespace", "Shop"], "--namespace"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(arguments: list[str], said: str):
    result = CliRunner().invoke(app, ["retire", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert said in result.output


def test_the_environment_of_the_operator_will_do():
    result = CliRunner().invoke(app, ["retire"], env={"TIDEGATE_LEASE": "nowhere"})
    assert result.exit_code == 2
    assert "TIDEGATE_LEASE: 'nowhere' is not a Lease" in result.output


def test_without_a_cluster_it_says_so(tmp_path):
    result = CliRunner().invoke(app, ["retire", "--kubeconfig", str(tmp_path / "absent")])
    assert result.exit_code == 1
    assert "No Kubernetes API server to talk to" in result.output
