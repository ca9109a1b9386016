"""A report without secrets: planted ones are looked for in every place where people put them."""

import json

import pytest

from tests.kubectl_world import blind, policy
from tidegate.cli.kubectl.report.redaction import REDACTED, cleaned, scrubbed, secret_values

PLANTED = "hunter2-Xq9"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzaG9wIn0.c2lnbmF0dXJl"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\nMIIE{PLANTED}\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "text",
    [
        f"password={PLANTED}",
        f"sasl.password: {PLANTED}",
        f"Password : '{PLANTED}'",
        f'{{"level":"error","password":"{PLANTED}","broker":"kafka:9092"}}',
        f'{{"message":"{{\\"clientSecret\\":\\"{PLANTED}\\"}}"}}',
        f'sasl.jaas.config=org.apache.kafka.PlainLoginModule required username="shop" password="{PLANTED}";',
        f"connecting to https://shop:{PLANTED}@registry.example/v2",
        f"redis://:{PLANTED}@cache:6379",
        f"Authorization: Bearer {PLANTED}",
        f"authorization=Basic {PLANTED}",
        f"tidegate run --ofrep-token {PLANTED} --listen :8080",
        f"AWS_SECRET_ACCESS_KEY={PLANTED}",
        f"api_key => {PLANTED}",
        f"https://idp/token?client_id=shop&client_secret={PLANTED}&scope=kafka",
        PEM,
        f"before {PEM} after",
        f"-----BEGIN CERTIFICATE-----\n{PLANTED} cut off",
    ],
)
def test_what_looks_like_a_secret_is_left_out_of_texts(text: str):
    assert PLANTED not in scrubbed(text)
    assert REDACTED in scrubbed(text)


def test_tokens_are_known_by_their_form():
    for token in (JWT, "AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefABCDEF"):
        assert scrubbed(f"using {token}.") == f"using {REDACTED}."


@pytest.mark.parametrize(
    "text",
    [
        "the brokers of shop-kafka refuse the credentials: SASL authentication failed",
        "Secret shop/kafka-user has no key password",
        "4 replicas: 344/s arrive, one replica does 50/s, oldest 28s of 45s allowed",
        "secretKeyRef: {name: kafka-user, key: password}",
        'tidegate_lag_records{namespace="shop",policy="points"} 9503',
        "2026-11-29T02:58:00.123Z INFO tidegate.controllers.operator: all is seen: 3 LagPolicies",
    ],
)
def test_what_helps_stays(text: str):
    assert scrubbed(text) == text


def test_a_long_line_takes_no_time():
    assert scrubbed("a" * 300_000) == "a" * 300_000


def test_values_that_are_known_are_left_out_wherever_they_stand():
    assert scrubbed(f"user shop said {PLANTED} twice: {PLANTED}", {PLANTED, "shop"}).count(REDACTED) == 2


POD = {
    "metadata": {
        "name": "tidegate-0",
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": f'{{"env": "{PLANTED}"}}',
            "vault.example/secret": PLANTED,
            "tidegate.dev/paused": "true",
        },
        "managedFields": [{"manager": PLANTED}],
    },
    "spec": {
        "containers": [
            {
                "name": "tidegate",
                "env": [
                    {"name": "TIDEGATE_LOG_LEVEL", "value": "info"},
                    {"name": "TIDEGATE_OFREP_TOKEN", "value": PLANTED},
                    {"name": "DATABASE", "value": PLANTED},
                    {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "kafka-user", "key": "password"}}},
                ],
                "args": ["--token", PLANTED, f"--api-key={PLANTED}", "--period", "5"],
                "command": ["sh", "-c", f"PASSWORD={PLANTED} tidegate run"],
            }
        ],
        "initContainers": [{"name": "init", "env": [{"name": "X", "value": PLANTED}]}],
        "template": {"metadata": {"annotations": {"checksum/secret": PLANTED}}},
    },
    "status": {"message": f"pull failed: https://robot:{PLANTED}@registry.example", "token": PLANTED},
}


def test_a_pod_is_told_without_what_people_put_into_it():
    told = cleaned(POD)
    assert PLANTED not in json.dumps(told)
    container = told["spec"]["containers"][0]
    assert container["env"][0] == {"name": "TIDEGATE_LOG_LEVEL", "value": "info"}
    assert container["env"][3]["valueFrom"]["secretKeyRef"] == {"name": "kafka-user", "key": "password"}
    assert container["args"] == ["--token", REDACTED, f"--api-key={REDACTED}", "--period", "5"]
    assert told["metadata"]["annotations"] == {"tidegate.dev/paused": "true"}


def test_the_values_of_variables_are_looked_for_everywhere_else():
    assert secret_values([POD]) == {PLANTED}


def test_a_policy_stays_as_it_is():
    wire = blind(policy()).wire()
    told = cleaned(wire)
    wire["metadata"].pop("annotations")
    assert told == wire
