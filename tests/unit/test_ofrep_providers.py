"""What applications get from Tidegate through the real OpenFeature providers: what flagd's file provider gives too."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason

from tests.unit.ofrep_world import POINTS, Service, Shop, by_file, by_ofrep, client_of, document, flag, service


@pytest.fixture
def served() -> Iterator[Service]:
    with service(Shop()) as running:
        yield running


def test_a_switched_flag_is_seen_by_the_next_question(served: Service):
    served.shop.documents[POINTS] = document(recommendations=flag("on"))
    with client_of(by_ofrep(served)) as client:
        before = client.get_boolean_details("recommendations", False)
        served.shop.documents[POINTS] = document(recommendations=flag("off"))
        after = client.get_boolean_details("recommendations", True)
    assert (before.value, before.variant, before.reason) == (True, "on", Reason.STATIC)
    assert (after.value, after.variant, after.reason) == (False, "off", Reason.STATIC)
    assert (before.error_code, after.error_code) == (None, None)


@pytest.mark.parametrize(
    ("made", "reason"),
    [(flag(None), Reason.DEFAULT), (flag("on", state="DISABLED"), Reason.DISABLED)],
    ids=["no defaultVariant", "DISABLED"],
)
@pytest.mark.parametrize("default", [True, False])
def test_where_the_document_leaves_it_to_the_code_its_default_counts_and_nothing_is_an_error(
    served: Service, made: dict[str, Any], reason: Reason, default: bool
):
    served.shop.documents[POINTS] = document(recommendations=made)
    with client_of(by_ofrep(served)) as client:
        found = client.get_boolean_details("recommendations", default)
    assert (found.value, found.reason, found.error_code) == (default, reason, None)


def test_a_flag_that_no_document_has_is_not_invented(served: Service):
    served.shop.documents[POINTS] = document(recommendations=flag("on"))
    with client_of(by_ofrep(served)) as client:
        found = client.get_boolean_details("recommendation", True)
    assert (found.value, found.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
    assert found.error_message == "no flag 'recommendation' in any document"


def test_one_and_one_point_nought_stay_what_the_document_says(served: Service):
    dimmed = {"state": "ENABLED", "variants": {"full": 1.0, "half": 0.5}, "defaultVariant": "full"}
    counted = {"state": "ENABLED", "variants": {"ten": 10, "one": 1}, "defaultVariant": "one"}
    served.shop.documents[POINTS] = document(dimmer=dimmed, results=counted)
    with client_of(by_ofrep(served)) as client:
        assert client.get_float_details("dimmer", 0.0).value == 1.0
        assert client.get_integer_details("results", 0).value == 1


def test_the_metadata_of_document_and_flag_arrive_together(served: Service):
    content = {"flags": {"a": flag("on", metadata={"level": 2})}, "metadata": {"flagSetId": "orders", "level": 1}}
    served.shop.documents[POINTS] = json.dumps(content)
    with client_of(by_ofrep(served)) as client:
        assert client.get_boolean_details("a", False).flag_metadata == {"flagSetId": "orders", "level": 2}


def test_with_the_operator_gone_the_application_goes_on_with_its_own_default():
    shop = Shop()
    shop.documents[POINTS] = document(recommendations=flag("off"))
    with service(shop) as served:
        client_context = client_of(by_ofrep(served))
        client = client_context.__enter__()
        assert client.get_boolean_value("recommendations", True) is False
    found = client.get_boolean_details("recommendations", True)
    client_context.__exit__(None, None, None)
    assert (found.value, found.error_code) == (True, ErrorCode.GENERAL)


def test_a_token_opens_the_door_to_the_provider_too(tmp_path: Path):
    shop = Shop()
    shop.documents[POINTS] = document(recommendations=flag("off"))
    (tmp_path / "token").write_text("s3cret\n")
    with service(shop, tmp_path / "token") as served:
        with client_of(by_ofrep(served)) as client:
            assert client.get_boolean_details("recommendations", True).error_message == "unauthorized"
        with client_of(by_ofrep(served, headers=lambda: {"Authorization": "Bearer s3cret"})) as client:
            assert client.get_boolean_value("recommendations", True) is False


def test_shared_rules_may_have_any_letters_though_the_evaluator_of_the_file_provider_cannot_read_them(served: Service):
    rule = {"if": [{"==": [{"var": "city"}, "Köln\n"]}, "off", "on"]}
    content = {"flags": {"a": flag("on", targeting={"$ref": "here"})}, "$evaluators": {"here": rule}}
    served.shop.documents[POINTS] = json.dumps(content)
    with client_of(by_ofrep(served)) as client:
        assert client.get_boolean_value("a", True, EvaluationContext("ada", {"city": "Köln\n"})) is False
        assert client.get_boolean_details("a", False, EvaluationContext("ada", {"city": "Bonn"})).value is True


def test_shared_rules_that_multiply_one_another_are_refused_before_they_fill_the_memory(served: Service):
    rules = {f"rule{n}": {"and": [{"$ref": f"rule{n + 1}"}] * 10} for n in range(40)}
    content = {"flags": {"a": flag("on", targeting={"$ref": "rule0"})}, "$evaluators": rules}
    served.shop.documents[POINTS] = json.dumps(content)
    with client_of(by_ofrep(served)) as client:
        found = client.get_boolean_details("a", True)
    assert (found.value, found.error_code) == (True, ErrorCode.GENERAL)
    assert "with $evaluators in place it has more than" in str(found.error_message)


# Tidegate and flagd's file provider on the same document

KEYS = st.sampled_from(["plan", "email", "age", "targetingKey", "version"])
WORDS = st.sampled_from(["premium", "free", "ada@example.com", "1.4.0", "v2", "", "ünïcode"])
SCALARS = st.one_of(WORDS, st.booleans(), st.none(), st.integers(-5, 99), st.floats(-5, 5, allow_nan=False))
VARIANTS = {
    "boolean": {"on": True, "off": False},
    "string": {"on": "blue", "off": "grün"},
    "integer": {"on": 7, "off": 0},
    "float": {"on": 1.5, "off": 0.25},
    "object": {"on": {"a": [1, {"b": None}]}, "off": {}},
}
ANSWERS = st.sampled_from(["on", "off", None, "no-such-variant", True])


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    var = KEYS.map(lambda key: {"var": [key]})
    return st.one_of(
        st.tuples(st.sampled_from(["==", "!=", "===", "<", ">="]), var, SCALARS).map(lambda t: {t[0]: [t[1], t[2]]}),
        st.tuples(st.sampled_from(["starts_with", "ends_with"]), var, WORDS).map(lambda t: {t[0]: [t[1], t[2]]}),
        st.tuples(var, st.sampled_from(["=", "<", "^", "?"]), WORDS).map(lambda t: {"sem_ver": list(t)}),
        st.tuples(var, st.lists(WORDS, max_size=3)).map(lambda t: {"in": list(t)}),
    )


def targetings() -> st.SearchStrategy[dict[str, Any]]:
    split = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda w: [["on", w[0]], ["off", w[1]]])
    return st.one_of(
        st.just({}),
        st.tuples(conditions(), ANSWERS, ANSWERS).map(lambda t: {"if": list(t)}),
        split.map(lambda shares: {"fractional": shares}),
        st.tuples(KEYS, split).map(lambda t: {"fractional": [{"var": t[0]}, *t[1]]}),
        st.just({"no_such_operator": [1]}),
        st.just({"$ref": "shared"}),
    )


@st.composite
def flags(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    kind = draw(st.sampled_from(sorted(VARIANTS)))
    made: dict[str, Any] = {"state": draw(st.sampled_from(["ENABLED", "ENABLED", "DISABLED"]))}
    made["variants"] = VARIANTS[kind]
    default = draw(st.sampled_from(["on", "off", "", None, "no-such-variant", "absent"]))
    if default != "absent":
        made["defaultVariant"] = default
    return kind, {**made, "targeting": draw(targetings()), "metadata": draw(st.sampled_from([{}, {"level": 1}]))}


CONTEXTS = st.builds(
    EvaluationContext,
    st.one_of(st.none(), WORDS),
    st.dictionaries(KEYS.filter(lambda key: key != "targetingKey"), SCALARS.filter(lambda v: v is not None)),
)


def asked(client: OpenFeatureClient, kind: str, context: EvaluationContext) -> FlagEvaluationDetails[Any]:
    defaults = {"boolean": True, "string": "mine", "integer": -1, "float": -1.0, "object": {"mine": 1}}
    found: FlagEvaluationDetails[Any] = getattr(client, f"get_{kind}_details")("a-flag", defaults[kind], context)
    return found


@given(flags(), CONTEXTS, conditions().filter(lambda rule: "\\" not in json.dumps(rule)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_document_and_context_the_answer_is_that_of_flagd(
    served: Service, tmp_path: Path, made: tuple[str, dict[str, Any]], context: EvaluationContext, shared: Any
):
    kind, content = made
    text = json.dumps({"flags": {"a-flag": content}, "$evaluators": {"shared": {"if": [shared, "on", "off"]}}})
    path = tmp_path / "flags.json"
    path.write_text(text)
    served.shop.documents = {POINTS: text}
    with client_of(by_file(path)) as of_file, client_of(by_ofrep(served)) as of_tidegate:
        expected, found = asked(of_file, kind, context), asked(of_tidegate, kind, context)
    event(f"{expected.reason}, {expected.error_code}")
    assert found.value == expected.value
    assert type(found.value) is type(expected.value)
    assert (found.error_code is None) == (expected.error_code is None), (found, expected)
    if expected.error_code is None:
        assert (found.reason, found.variant or None, found.flag_metadata) == (
            expected.reason,
            expected.variant,
            expected.flag_metadata,
        )
