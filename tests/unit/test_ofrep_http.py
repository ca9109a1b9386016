"""OFREP as it goes over the wire: statuses, bodies, tags, tokens, base URLs, and what a broken document does."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.ofrep_world import JSON, NOT_FOUND, NOT_READ, POINTS, Service, Shop, document, flag, service
from tidegate.controllers.ofrep.documents import LAST_GOOD

MAILS = "ConfigMap/mails/points/flags.json"
PLUS = "FeatureFlag/shop/plus/"
PREMIUM_OFF = {"if": [{"==": [{"var": "plan"}, "premium"]}, "off"]}
BASE = "/namespaces/shop/ConfigMap/points"


@pytest.fixture
def served() -> Iterator[Service]:
    with service(Shop()) as running:
        running.shop.documents[POINTS] = document(recommendations=flag("on"))
        yield running


# one flag


def test_one_flag(served: Service):
    status, headers, body = served.ask("recommendations", {"context": {"targetingKey": "ada"}})
    assert (status, headers.get_content_type()) == (200, "application/json")
    assert body == {"key": "recommendations", "value": True, "reason": "STATIC", "variant": "on", "metadata": {}}


def test_targeting_reads_the_context(served: Service):
    served.shop.documents[POINTS] = document(recommendations=flag("on", targeting=PREMIUM_OFF))
    _, _, body = served.ask("recommendations", {"context": {"targetingKey": "ada", "plan": "premium"}})
    assert (body["value"], body["variant"], body["reason"]) == (False, "off", "TARGETING_MATCH")
    _, _, body = served.ask("recommendations", {"context": {"targetingKey": "ada", "plan": "free"}})
    assert (body["value"], body["variant"], body["reason"]) == (True, "on", "DEFAULT")


def test_where_the_code_decides_there_is_no_value(served: Service):
    served.shop.documents[POINTS] = document(a=flag(None), b=flag(state="DISABLED"))
    assert served.ask("a")[2] == {"key": "a", "reason": "DEFAULT", "variant": "", "metadata": {}}
    assert served.ask("b")[2] == {"key": "b", "reason": "DISABLED", "variant": "", "metadata": {}}


@pytest.mark.parametrize("key", ["a/b", "a%20b", "%C3%BC", "a%2Fb"])
def test_keys_of_any_letters(served: Service, key: str):
    served.shop.documents[POINTS] = document(**{"a/b": flag(), "a b": flag(), "ü": flag()})
    assert served.ask(key)[0] == 200


@pytest.mark.parametrize("body", ["", "{}", '{"context": {}}', '{"context": {"targetingKey": null}}'])
def test_a_context_is_not_needed(served: Service, body: str):
    assert served.ask("recommendations", body)[2]["value"] is True


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("{", "PARSE_ERROR", "the body must be JSON"),
        ('{"context": {"age": NaN}}', "PARSE_ERROR", "NaN is no number in JSON"),
        ("[" * 20_000, "PARSE_ERROR", "the body must be JSON"),
        ("[]", "INVALID_CONTEXT", 'an object with an object: {"context": {…}}'),
        ('{"context": "ada"}', "INVALID_CONTEXT", 'an object with an object: {"context": {…}}'),
        ('{"context": {"targetingKey": 7}}', "INVALID_CONTEXT", "context.targetingKey must be a string"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(served: Service, body: str, code: str, said: str):
    status, _, answer = served.ask("recommendations", body)
    assert (status, answer["key"], answer["errorCode"]) == (400, "recommendations", code)
    assert said in answer["errorDetails"]
    status, _, answer = served.ask(None, body)
    assert (status, answer["errorCode"], "key" in answer) == (400, code, False)


@pytest.mark.parametrize(
    ("made", "code", "said"),
    [
        (flag("neither"), "GENERAL", "neither"),
        (flag("on", targeting={"if": [True, "neither"]}), "GENERAL", "neither"),
        (flag("on", targeting={"/": [1, 0]}), "GENERAL", "its targeting fails: division by zero"),
        (
            flag("on", targeting={"if": [{"some": [{"var": "l"}, True]}, "off"]}),
            "GENERAL",
            "uses some, and loops are not",
        ),
        (
            flag("on", targeting={"in": [{"var": "id"}, ["x" * 99] * 200]}),
            "GENERAL",
            "more than 16384 are not evaluated",
        ),
        (flag("on", targeting={"no_such_operator": [1]}), "PARSE_ERROR", "no_such_operator"),
    ],
)
def test_a_flag_that_cannot_be_evaluated_is_an_error_of_that_flag_alone(
    served: Service, made: Any, code: str, said: str
):
    served.shop.documents[POINTS] = document(good=flag(), wrong=made)
    status, _, body = served.ask("wrong")
    assert (status, body["key"], body["errorCode"]) == (400, "wrong", code)
    assert said in body["errorDetails"]
    status, _, bulk = served.ask()
    assert status == 200
    assert [("value" in each, each.get("errorCode")) for each in bulk["flags"]] == [(True, None), (False, code)]


def test_a_word_that_is_the_name_of_a_loop_is_no_loop(served: Service):
    rule = {"if": [{"in": [{"var": "map"}, ["map", '"map": ']]}, "off", "on"]}
    served.shop.documents[POINTS] = document(a=flag("on", targeting=rule))
    assert served.ask("a", {"context": {"map": "map"}})[2]["value"] is False


def test_what_the_evaluator_does_not_know_in_a_flag_is_no_harm(served: Service):
    served.shop.documents[POINTS] = document(a=flag("off", description="for people", **{"$comment": "too"}))
    assert served.ask("a")[2]["value"] is False


# all flags


def test_all_flags_with_the_metadata_of_the_document(served: Service):
    content = {"flags": {"b": flag(), "a": flag("off")}, "metadata": {"flagSetId": "orders"}}
    served.shop.documents[POINTS] = json.dumps(content)
    status, _, body = served.ask()
    assert (status, body["metadata"]) == (200, {"flagSetId": "orders"})
    assert [(each["key"], each["value"]) for each in body["flags"]] == [("a", False), ("b", True)]


def test_who_has_the_answer_already_gets_304_until_a_flag_is_switched(served: Service):
    _, first, _ = served.ask()
    tag = first["ETag"]
    status, headers, body = served.ask(headers={**JSON, "If-None-Match": f'"other", {tag}'})
    assert (status, headers["ETag"], body) == (304, tag, None)
    served.shop.documents[POINTS] = document(recommendations=flag("off"))
    status, second, body = served.ask(headers={**JSON, "If-None-Match": tag})
    assert (status, body["flags"][0]["value"]) == (200, False)
    assert second["ETag"] != tag


def test_the_tag_is_that_of_the_context_where_targeting_looks_at_it(served: Service):
    served.shop.documents[POINTS] = document(recommendations=flag("on", targeting=PREMIUM_OFF))
    _, first, _ = served.ask(None, {"context": {"plan": "free"}})
    known = {**JSON, "If-None-Match": first["ETag"]}
    assert served.ask(None, {"context": {"plan": "free"}}, headers=known)[0] == 304
    assert served.ask(None, {"context": {"plan": "other"}}, headers=known)[0] == 304  # the same answer
    assert served.ask(None, {"context": {"plan": "premium"}}, headers=known)[0] == 200


# base URLs


def test_a_base_url_speaks_of_one_document(served: Service):
    served.shop.documents |= {MAILS: document(recommendations=flag("off")), PLUS: document(plus=flag())}
    assert served.ask("recommendations", base=BASE)[2]["value"] is True
    assert served.ask("recommendations", base=f"{BASE}/flags.json")[2]["value"] is True
    assert served.ask("recommendations", base="/namespaces/mails/ConfigMap/points")[2]["value"] is False
    assert served.ask("plus", base="/namespaces/shop/FeatureFlag/plus")[2]["value"] is True
    assert served.ask("plus", base=BASE)[0] == 404
    assert [each["key"] for each in served.ask(base="/namespaces/shop/FeatureFlag/plus")[2]["flags"]] == ["plus"]


def test_at_the_root_a_key_of_two_documents_is_refused_with_the_base_urls_to_use(served: Service):
    served.shop.documents |= {MAILS: document(recommendations=flag("off"), receipts=flag())}
    status, _, body = served.ask("recommendations")
    assert (status, body["errorCode"], "value" in body) == (400, "GENERAL", False)
    bases = [f"{served.url}/namespaces/{n}/ConfigMap/points/flags.json" for n in ("mails", "shop")]
    assert " or ".join(bases) in body["errorDetails"]
    assert served.ask("receipts")[2]["value"] is True
    status, _, bulk = served.ask()
    assert [(each["key"], each.get("errorCode")) for each in bulk["flags"]] == [
        ("receipts", None),
        ("recommendations", "GENERAL"),
    ]


def test_two_keys_of_one_configmap_are_two_documents(served: Service):
    served.shop.documents["ConfigMap/shop/points/more.json"] = document(recommendations=flag("off"))
    assert served.ask("recommendations", base=BASE)[0] == 400
    assert served.ask("recommendations", base=f"{BASE}/more.json")[2]["value"] is False


@pytest.mark.parametrize(
    "base", ["/namespaces/shop/ConfigMap/secret-things", "/namespaces/kube-system/ConfigMap/points", f"{BASE}/other"]
)
def test_no_object_that_no_policy_names_can_be_read(served: Service, base: str):
    status, _, body = served.ask("recommendations", base=base)
    assert (status, body["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert "no LagPolicy names" in body["errorDetails"]
    assert served.shop.reads == 0
    assert served.ask(base=base)[0] == 404


# requests that are none


def test_what_is_not_a_question_is_answered_in_json_too(served: Service):
    status, headers, body = served.ask("recommendations", method="GET")
    assert (status, headers["Allow"], body) == (405, "POST", {"errorDetails": "Method Not Allowed"})
    assert served.ask(base="/elsewhere")[::2] == (404, {"errorDetails": "Not Found"})
    assert served.ask("recommendations", base="/namespaces/shop/Secret/points")[0] == 404
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, _, body = served.ask("recommendations", headers=form)
    assert status == 415
    assert "send Content-Type: application/json" in body["errorDetails"]
    status, _, body = served.ask("recommendations", {"context": {"long": "x" * 70_000}})
    assert (status, body) == (413, {"errorDetails": "Request Entity Too Large"})
    assert served.ask("recommendations")[0] == 200


# tokens


def test_without_the_token_nothing_is_told_and_a_renewed_one_counts_at_once(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("old\n")
    shop = Shop()
    shop.documents[POINTS] = document(recommendations=flag("on"))

    def status(token: str) -> int:
        return served.ask("recommendations", headers={**JSON, "Authorization": token})[0]

    with service(shop, path) as served:
        refused, headers, body = served.ask("recommendations")
        assert (refused, headers["WWW-Authenticate"]) == (401, 'Bearer realm="tidegate"')
        assert "Authorization: Bearer" in body["errorDetails"]
        assert served.ask("nothing", base="/elsewhere")[0] == 401
        assert [status(each) for each in ("Bearer old", "bearer old", "Basic old", "Bearer", "Bearer olde")] == [
            200,
            200,
            401,
            401,
            401,
        ]
        _, headers, _ = served.ask("recommendations", headers={**JSON, "Authorization": "Bearer new"})
        assert headers["WWW-Authenticate"] == 'Bearer realm="tidegate", error="invalid_token"'
        path.write_text("new\nold\n")  # both while the applications are given the new one
        assert (status("Bearer old"), status("Bearer new")) == (200, 200)
        path.write_text("new")
        assert (status("Bearer old"), status("Bearer new")) == (401, 200)
        path.write_text("\n")
        assert (status("Bearer "), status("Bearer new")) == (500, 500)
        path.unlink()
        assert status("Bearer new") == 500


# documents that cannot be read


@pytest.mark.parametrize(
    ("broken", "status"),
    [(NOT_READ, 500), ('{"flags": ', 500), ('{"flags": {"recommendations": {}}}', 500), (NOT_FOUND, 404)],
    ids=["no answer", "not JSON", "not flagd's", "deleted"],
)
def test_the_last_good_document_stays_in_force_for_a_while_and_then_there_is_no_value(
    served: Service, broken: Any, status: int
):
    assert served.ask("recommendations", base=BASE)[2]["value"] is True
    served.shop.documents[POINTS] = broken
    served.shop.now += LAST_GOOD
    assert served.ask("recommendations", base=BASE)[2]["value"] is True
    assert served.ask(base=BASE)[0] == 200
    served.shop.now += 1
    for found, _, body in (served.ask("recommendations", base=BASE), served.ask(base=BASE)):
        assert (found, "value" in body, "flags" in body) == (status, False, False)
        assert body["errorDetails"]
    served.shop.documents[POINTS] = document(recommendations=flag("off"))
    assert served.ask("recommendations", base=BASE)[2]["value"] is False


def test_at_the_root_what_is_known_is_told_and_nothing_is_said_to_be_missing_that_may_be_there(served: Service):
    served.shop.documents[MAILS] = NOT_READ
    assert served.ask("recommendations")[0] == 200
    assert served.ask("receipts")[0] == 500
    assert served.ask()[0] == 500  # a client would drop the flags that it has
    served.shop.documents[MAILS] = NOT_FOUND
    assert served.ask("receipts")[0] == 404
    assert [each["key"] for each in served.ask()[2]["flags"]] == ["recommendations"]


def test_while_the_operator_starts_no_flag_is_said_to_be_missing(served: Service):
    served.shop.unready.append("lagpolicies: listing")
    assert served.ask("recommendations")[0] == 200
    for status, _, body in (served.ask("receipts"), served.ask(), served.ask("any", base="/namespaces/a/ConfigMap/b")):
        assert (status, body) == (500, {"errorDetails": "not all LagPolicies are known yet: lagpolicies: listing"})


def test_an_api_server_that_hangs_is_waited_for_once_and_then_the_last_good_flags_are_the_answer(served: Service):
    served.ask("recommendations")
    served.shop.answering.clear()
    reads = served.shop.reads
    assert served.ask("recommendations")[2]["value"] is True
    served.shop.now += 1.0  # of the patience nothing is left
    for _ in range(20):
        assert served.ask("recommendations")[2]["value"] is True
    assert served.shop.reads == reads + 1
    served.shop.documents[POINTS] = document(recommendations=flag("off"))
    served.shop.answering.set()
    deadline = time.monotonic() + 10
    while served.ask("recommendations")[2]["value"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert served.ask("recommendations")[2]["value"] is False


def test_with_nothing_read_yet_an_api_server_that_hangs_is_an_error_and_not_a_flag(served: Service):
    served.shop.answering.clear()
    status, _, body = served.ask("recommendations")
    served.shop.answering.set()
    assert (status, body) == (500, {"errorDetails": "the API server has not answered within 1 s"})


def test_a_document_that_no_policy_names_any_more_is_not_kept(served: Service):
    assert served.ask("recommendations")[0] == 200
    del served.shop.documents[POINTS]
    assert served.ask("recommendations")[0] == 404
    assert served.ask()[2] == {"flags": []}
