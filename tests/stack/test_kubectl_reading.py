"""`kubectl tidegate status` and `explain` through the real kubectl, on the real API server."""

import json
from pathlib import Path

import pytest
import yaml

from demo.stack import Stack
from tests.kubectl_world import BOUND, KEPT, LADDER, blind, degraded, policy, proposal, seen
from tests.stack.kubectl_world import Plugin, install, serve
from tests.waiting import eventually


@pytest.fixture(scope="module")
def folder(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    serve(stack)
    return install(tmp_path_factory.mktemp("plugin") / "bin")


@pytest.fixture
def plugin(stack: Stack, folder: Path, namespace: str) -> Plugin:
    return Plugin(stack, folder, namespace)


def test_kubectl_finds_the_plugin_and_the_usage_is_what_people_type(plugin: Plugin):
    assert "kubectl tidegate [OPTIONS] COMMAND" in plugin.typed("--help", COLUMNS="120").out
    assert "kubectl tidegate explain [OPTIONS]" in plugin.run("explain", "--help", columns=120).out
    plugin.put(seen(policy()))
    told = plugin.typed("status", "-n", plugin.namespace)
    assert (told.code, told.err) == (0, "")
    assert "points  Kept" in told.out
    assert plugin.typed("status", "nobody", "-n", plugin.namespace).code == 1


def test_status_shows_the_consumers_of_a_namespace_and_what_needs_a_person(plugin: Plugin):
    plugin.put(seen(policy("mails")))
    plugin.put(degraded(policy("points", degradation=LADDER)))
    plugin.put(proposal())
    out = plugin("status", columns=120)
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:3]}
    assert rows["points"][:4] == ["AtRisk", "45s", "28s", "9503"]
    assert rows["mails"][0] == "Kept"
    assert "kubectl tidegate approve points-points-deduct-6-to-24-0a1b2 -n " + plugin.namespace in out
    assert out.endswith("2 consumers: 1 AtRisk, 1 Kept\n")
    found = json.loads(plugin("status", "-o", "json"))["policies"]
    assert [each["state"] for each in found] == ["Kept", "AtRisk"]
    everywhere = plugin.run("status", "-A")
    assert plugin.namespace in everywhere.out


def test_one_in_detail_and_why(plugin: Plugin):
    plugin.put(seen(policy(), BOUND))
    assert "points in namespace" in plugin("status", "points")
    said = plugin("explain", "points", columns=200)
    assert "344/s / 50/s = 6.88, so 7 replicas" in said
    assert "(status of " in said
    explained = yaml.safe_load(plugin("explain", "points", "-o", "yaml"))
    assert [part["title"] for part in explained["explanation"]][:2] == ["Why 4 replicas", "The arithmetic"]


def test_a_broken_connection_is_said_in_the_broker_s_words(plugin: Plugin):
    plugin.put(blind(policy()))
    assert "SASL authentication failed" in plugin("status")
    assert "not known, as the group cannot be read" in plugin("explain", "points")


def test_a_policy_that_is_not_there_is_answered_with_those_that_are(plugin: Plugin):
    assert "there is no LagPolicy points in namespace" in plugin.refused(1, "status", "points")
    plugin.put(seen(policy("points-service"), KEPT))
    assert "there is points-service" in plugin.refused(1, "explain", "points")
    assert plugin.refused(1, "explain", "zzz").endswith("there are 1: points-service\n")


def test_an_empty_namespace_is_no_error(plugin: Plugin):
    told = plugin.run("status", "-n", plugin.namespace)
    assert (told.code, told.out) == (0, "")
    assert f"no LagPolicy in namespace {plugin.namespace}" in told.err


# rights, and ways that lead nowhere


def test_who_may_only_read_policies_sees_them(stack: Stack, plugin: Plugin):
    plugin.put(seen(policy()))
    reader = stack.user_kubeconfig("plugin-reader")
    told = "user plugin-reader may not list lagpolicies in namespace"
    assert told in plugin.refused(3, "status", kubeconfig=reader)
    role = ("--verb=get,list", "--resource=lagpolicies.tidegate.dev")
    stack.kubectl("create", "role", "reads", *role, "-n", plugin.namespace)
    stack.kubectl("create", "rolebinding", "reads", "--role=reads", "--user=plugin-reader", "-n", plugin.namespace)
    out = eventually(lambda: plugin.run("status", "-n", plugin.namespace, kubeconfig=reader).out)
    assert "points  Kept" in out
    assert "OnTime" in plugin("explain", "points", kubeconfig=reader)


def test_as_acts_as_another_user(plugin: Plugin):
    assert "user ada may not get lagpolicies" in plugin.refused(3, "status", "points", "--as", "ada")


def test_no_api_server_is_said_in_a_line(plugin: Plugin, tmp_path: Path):
    missing = plugin.run("status", kubeconfig=tmp_path / "none")
    assert (missing.code, missing.err.startswith("error: No Kubernetes API server to talk to")) == (4, True)
    away = yaml.safe_load(Path(plugin.stack.env["KUBECONFIG"]).read_text())
    away["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "away"
    path.write_text(yaml.safe_dump(away))
    assert "the API server https://127.0.0.1:1 cannot be reached" in plugin.refused(4, "status", kubeconfig=path)
    assert "nowhere" in plugin.refused(4, "status", "--context", "nowhere")


def test_a_cluster_without_tidegate_is_told_from_an_empty_one(plugin: Plugin):
    with Stack.start(kafka=False, pods=False) as bare:
        told = plugin.run("status", kubeconfig=bare.env["KUBECONFIG"])
        assert told.code == 1
        assert "this cluster has no lagpolicies.tidegate.dev: Tidegate is not installed here" in told.err
        assert "has no lagpolicies" in plugin.run("explain", "points", kubeconfig=bare.env["KUBECONFIG"]).err


# live


def test_top_has_the_most_dangerous_first_and_one_frame_without_a_terminal(plugin: Plugin):
    plugin.put(seen(policy("mails")))
    plugin.put(seen(policy("points"), BOUND))
    assert [line.split()[0] for line in plugin("top").splitlines()] == ["NAME", "points", "mails"]


def test_top_in_a_terminal_goes_on_until_q(plugin: Plugin):
    plugin.put(seen(policy("points"), BOUND))
    with plugin.terminal("top", "-n", plugin.namespace) as terminal:
        eventually(lambda: "points" in terminal.read() and "q ends" in terminal.read(), 120)
        plugin.put(seen(policy("mails")))
        eventually(lambda: "mails" in terminal.read(), 120)
        terminal.type("x")
        terminal.type("q")
        assert terminal.ended() == 0


def test_completion_is_what_kubectl_asks_for(plugin: Plugin):
    plugin.put(seen(policy("points")))
    told = plugin.complete("tidegate", "status", "-n", plugin.namespace, "po")
    assert told.splitlines()[:2] == ["points\tgroup points-service", ":4"]
    assert "explain\t" in plugin.complete("tidegate", "expl")
    assert plugin.complete("tidegate", "approve", "-n", plugin.namespace, "").splitlines()[0] == ":4"
