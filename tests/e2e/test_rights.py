"""The audit of all that the suite has made the operator ask the API server. It runs last (see conftest.py)."""

from collections.abc import Mapping

import pytest

from demo.stack.audit import Request
from tests.e2e.operator_process import VALUES, Operator
from tests.e2e.rights import Right, granted, used

OURS = "tidegate.dev"
MAY_BE_UNUSED: Mapping[Right, str] = {
    Right("propose", OURS, "partitionproposals"): "no verb of the API: the ValidatingAdmissionPolicy asks whether the "
    "operator has it when it makes a proposal, and such a question is in no audit log",
    Right("update", OURS, "lagpolicies/finalizers"): "only the admission plugin OwnerReferencesPermissionEnforcement "
    "asks for it, which is not on by default (OpenShift has it on)",
    **{
        Right("get", "apps", f"{kind}/scale"): "read only after a write that met a newer version or got no answer: "
        "nobody can provoke that from outside (tests/stack/test_cluster_faults.py does it from inside)"
        for kind in ("statefulsets", "replicasets")
    },
}


@pytest.fixture(scope="module")
def asked(shared_operator: Operator) -> list[Request]:
    """All that the operator's account has asked for."""
    return [each for each in shared_operator.asked if each.user == shared_operator.release.account]


def test_it_was_never_refused_but_where_a_test_had_taken_the_right_away(
    asked: list[Request], shared_operator: Operator
):
    assert asked
    taken = shared_operator.taken
    assert [each for each in asked if each.refused and not any(one.explains(each) for one in taken)] == []


def test_other_answers_403_were_about_namespaces_that_were_going(asked: list[Request]):
    assert [each for each in asked if each.code == 403 and not each.refused and "terminated" not in each.message] == []


def test_every_right_that_it_is_granted_was_used(
    asked: list[Request], shared_operator: Operator, whole_suite: bool, capsys: pytest.CaptureFixture[str]
):
    if not shared_operator.release.installed:  # a test of its life has failed
        shared_operator.release.install(VALUES)
    rights = granted(shared_operator.release.objects, shared_operator.release.account)
    assert MAY_BE_UNUSED.keys() <= rights  # else the exception is needless
    unused = rights - used(each for each in asked if not each.refused) - MAY_BE_UNUSED.keys()
    if not whole_suite:
        pytest.skip(f"only the whole of tests/e2e uses every right; these tests left {len(unused)} unused")
    assert sorted(map(str, unused)) == []
    with capsys.disabled():
        print(f"\n{len(asked)} requests of the operator's account used all {len(rights)} rights but:")
        for right, reason in MAY_BE_UNUSED.items():
            print(f"  {right}: {reason}")
