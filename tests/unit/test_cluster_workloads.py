"""Workloads, pods and selectors, from what the API server sends."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.api import Reason, TargetRef
from tidegate.cluster.discovery import Resource, resource_in
from tidegate.cluster.selectors import LabelledPod, PodIndex, Requirement, Selector, parse_selector, selector_from
from tidegate.cluster.workloads import Writer, pod_from, scale_of, target_of, workload_from
from tidegate.engine.observation import Objection, Pod

READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:30Z"}
NEW_YEAR = 1767225600.0


def pod_body(name: str = "a", status: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z", **meta}
    return {"metadata": metadata, "status": status or {"phase": "Running", "conditions": [READY]}}


def deployment(**spec: Any) -> dict[str, Any]:
    meta = {"name": "web", "namespace": "shop", "uid": "w", "resourceVersion": "7"}
    return {"metadata": meta, "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}}


# Pods


def test_a_pod_is_ready_since_its_condition_says_so():
    seen = pod_from(pod_body(labels={"app": "web", "pod-template-hash": "h1"}))
    assert seen == ({"app": "web", "pod-template-hash": "h1"}, Pod("a", NEW_YEAR, NEW_YEAR + 30, "h1"))


@pytest.mark.parametrize("status", [{"phase": "Pending"}, {"conditions": [{**READY, "status": "False"}]}])
def test_a_pod_that_is_not_ready_counts_all_the_same(status: dict[str, Any]):
    seen = pod_from(pod_body(status=status))
    assert seen
    assert seen.pod.ready_since is None


@pytest.mark.parametrize(
    "body",
    [
        pod_body(deletionTimestamp="2026-01-01T00:01:00Z"),
        pod_body(status={"phase": "Failed"}),
        pod_body(status={"phase": "Succeeded"}),
    ],
    ids=["terminating", "failed", "succeeded"],
)
def test_a_pod_on_its_way_out_is_nobodys_replica(body: dict[str, Any]):
    assert pod_from(body) is None


# Workloads


def test_a_deployment_is_read_with_who_wrote_its_replicas():
    body = deployment(replicas=3)
    body["metadata"]["managedFields"] = [
        {"manager": "argocd", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:template": {}}}},
        {"manager": "early", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "late", "time": "2026-01-01T00:00:09Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "status", "fieldsV1": {"f:status": {"f:replicas": {}}}},
    ]
    seen = workload_from(body)
    assert (seen.uid, seen.resource_version, seen.replicas) == ("w", 7, 3)
    assert seen.replicas_writers == (Writer("late", NEW_YEAR + 9), Writer("early", NEW_YEAR))


def test_replicas_that_nobody_gave_are_one_and_zero_is_zero():
    assert workload_from(deployment()).replicas == 1
    assert workload_from(deployment(replicas=0)).replicas == 0


def test_the_newest_pod_tells_a_deployments_template_and_a_statefulset_tells_its_own():
    pods = (Pod("a", 1.0, None, "old"), Pod("b", 2.0, None, "new"))
    assert target_of(workload_from(deployment()), pods).template == "new"
    assert target_of(workload_from(deployment()), ()).template == ""
    statefulset = {**deployment(), "status": {"updateRevision": "web-5d"}}
    assert target_of(workload_from(statefulset), pods).template == "web-5d"


def test_a_scale_of_nothing_leaves_its_replicas_out():
    meta = {"uid": "w", "resourceVersion": "7"}
    scale = scale_of({"metadata": meta, "spec": {}, "status": {"selector": "app=web"}}, TargetRef(name="web"))
    assert not isinstance(scale, Objection)
    assert scale.replicas == 0


# Discovery

ROLLOUTS = {
    "resources": [
        {"name": "rollouts", "kind": "Rollout"},
        {"name": "rollouts/scale", "kind": "Scale"},
        {"name": "analyses", "kind": "Analysis"},
    ]
}


def test_a_kind_is_found_by_its_plural():
    assert resource_in(ROLLOUTS, "argoproj.io/v1", "Rollout") == Resource("argoproj.io", "v1", "rollouts")
    assert resource_in(ROLLOUTS, "v1", "Rollout") == Resource("", "v1", "rollouts")


@pytest.mark.parametrize(("kind", "words"), [("Analysis", "has no /scale"), ("Scale", "no kind Scale")])
def test_a_kind_without_scale_is_no_target(kind: str, words: str):
    found = resource_in(ROLLOUTS, "argoproj.io/v1", kind)
    assert isinstance(found, Objection)
    assert found.reason is Reason.TARGET_NOT_SCALABLE
    assert words in found.message


# Selectors


@pytest.mark.parametrize(
    ("text", "requirement"),
    [
        ("app=web", Requirement("app", "In", frozenset({"web"}))),
        ("app == web", Requirement("app", "In", frozenset({"web"}))),
        ("app=", Requirement("app", "In", frozenset({""}))),
        ("app!=web", Requirement("app", "NotIn", frozenset({"web"}))),
        ("tier in (a,b)", Requirement("tier", "In", frozenset({"a", "b"}))),
        ("tier notin ( a, b )", Requirement("tier", "NotIn", frozenset({"a", "b"}))),
        ("example.com/tier", Requirement("example.com/tier", "Exists")),
        ("!tier", Requirement("tier", "DoesNotExist")),
    ],
)
def test_a_selector_is_read_as_kubectl_writes_it(text: str, requirement: Requirement):
    assert parse_selector(text) == (requirement,)
    assert parse_selector(f"first=1,{text},last in (x,y)")[1] == requirement


def test_a_term_that_cannot_be_read_selects_nothing():
    [term] = parse_selector("size > 3")
    assert not term.holds({"size": "4"})


keys = st.sampled_from(["app", "tier", "x.io/zone"])
values = st.sampled_from(["a", "b", ""])
labels = st.dictionaries(keys, values)
requirements = st.one_of(
    st.builds(Requirement, keys, st.sampled_from(["In", "NotIn"]), st.frozensets(values, min_size=1)),
    st.builds(Requirement, keys, st.sampled_from(["Exists", "DoesNotExist"]), st.just(frozenset())),
)
selectors = st.lists(requirements, min_size=1, max_size=3).map(tuple)


def written(requirement: Requirement) -> str:
    values = ",".join(sorted(requirement.values))
    return {
        "In": f"{requirement.key} in ({values})",
        "NotIn": f"{requirement.key} notin ({values})",
        "Exists": requirement.key,
        "DoesNotExist": f"!{requirement.key}",
    }[requirement.operator]


@given(selectors)
def test_both_forms_of_a_selector_mean_the_same(selector: Selector):
    expressions = [{"key": r.key, "operator": r.operator, "values": sorted(r.values)} for r in selector]
    assert selector_from({"matchExpressions": expressions}) == selector
    assert parse_selector(",".join(map(written, selector))) == selector


def test_match_labels_and_expressions_must_all_hold():
    wire = {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "canary", "operator": "DoesNotExist"}]}
    selector = selector_from(wire)
    assert all(requirement.holds({"app": "web"}) for requirement in selector)
    assert not all(requirement.holds({"app": "web", "canary": "1"}) for requirement in selector)


pods = st.dictionaries(st.sampled_from("abcdefgh"), st.none() | labels, max_size=8)


@given(st.lists(st.tuples(st.sampled_from(["shop", "test"]), pods), max_size=4), selectors)
def test_the_index_finds_what_looking_at_every_pod_would_find(told: list[Any], selector: Selector):
    index, truth = PodIndex(), dict[tuple[str, str], dict[str, str]]()
    for namespace, changes in told:
        for name, pod_labels in changes.items():
            pod = LabelledPod(pod_labels, Pod(name, 0.0, None, "")) if pod_labels is not None else None
            index.put(namespace, name, pod)
            truth.pop((namespace, name), None)
            truth |= {(namespace, name): pod_labels} if pod_labels is not None else {}
    assert set(index) == set(truth)
    for namespace in ("shop", "test"):
        expected = sorted(
            name for (space, name), had in truth.items() if space == namespace and all(r.holds(had) for r in selector)
        )
        assert [pod.name for pod in index.select(namespace, selector)] == expected


def test_a_selector_without_terms_finds_no_pods():
    index = PodIndex()
    index.put("shop", "a", LabelledPod({}, Pod("a", 0.0, None, "")))
    assert len(index) == 1
    assert index.select("shop", ()) == ()
