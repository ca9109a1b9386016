"""What is wrong in a values file is refused before anything is installed, in words that say where and what is right."""

from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import template

REFUSED = {
    "a key that does not exist": ("replicas: 2", "at ''", "additional properties 'replicas' not allowed"),
    "one deeper down": ("image: {sha: abc}", "at '/image'", "additional properties 'sha' not allowed"),
    "one in a list": (
        "rbac: {scaleTargets: [{group: argoproj.io, kind: Rollout, resource: rollouts}]}",
        "at '/rbac/scaleTargets/0'",
        "additional properties 'kind' not allowed",
    ),
    "text for a number": ('replicaCount: "2"', "at '/replicaCount'", "got string, want integer"),
    "too many replicas": ("replicaCount: 50", "at '/replicaCount'", "maximum: got 50, want 10"),
    "text for yes or no": ('crds: {enabled: "yes"}', "at '/crds/enabled'", "got string, want boolean"),
    "a tag in place of the digest": ("image: {digest: v1.2.3}", "at '/image/digest'", "sha256:[a-f0-9]{64}"),
    "the tag in the repository's place": (
        'image: {repository: "tidegate/tidegate:1.0"}',
        "at '/image/repository'",
        "does not match pattern",
    ),
    "another pull policy": (
        "image: {pullPolicy: Sometimes}",
        "at '/image/pullPolicy'",
        "value must be one of 'Always', 'IfNotPresent', 'Never'",
    ),
    "a number as a tag": ("image: {tag: 1.0}", "at '/image/tag'", "got number, want string"),
    "names in place of references": ("imagePullSecrets: [registry]", "at '/imagePullSecrets/0'", "want object"),
    "a name with capitals": ("fullnameOverride: Tidegate", "at '/fullnameOverride'", "does not match pattern"),
    "a name too long for its suffixes": ("fullnameOverride: " + "a" * 41, "at '/fullnameOverride'", "want 40"),
    "namespaces in one word": ('watchNamespaces: "shop,billing"', "at '/watchNamespaces'", "got string, want array"),
    "a namespace twice": ("watchNamespaces: [shop, shop]", "at '/watchNamespaces'", "are equal"),
    "a pattern for a namespace": ('watchNamespaces: ["shop-*"]', "at '/watchNamespaces/0'", "does not match pattern"),
    "a period too short": ("operator: {period: 0.5}", "at '/operator/period'", "minimum: got 0.5, want 1"),
    "a duration for a number": ("operator: {period: 5s}", "at '/operator/period'", "got string, want number"),
    "a privileged port": ("operator: {port: 80}", "at '/operator/port'", "minimum: got 80, want 1,024"),
    "another log level": (
        "operator: {logLevel: INFO}",
        "at '/operator/logLevel'",
        "value must be one of 'debug', 'info', 'warning', 'error'",
    ),
    "an empty Secret key": (
        'ofrep: {tokenSecret: {name: tokens, key: ""}}',
        "at '/ofrep/tokenSecret/key'",
        "does not match pattern",
    ),
    "a scale target with its subresource": (
        "rbac: {scaleTargets: [{group: argoproj.io, resource: rollouts/scale}]}",
        "at '/rbac/scaleTargets/0/resource'",
        "does not match pattern '^[a-z0-9]+$'",
    ),
    "a scale target without its group": (
        "rbac: {scaleTargets: [{resource: rollouts}]}",
        "at '/rbac/scaleTargets/0'",
        "missing property 'group'",
    ),
    "a time-out without a unit": ("retire: {timeout: 120}", "at '/retire/timeout'", "got number, want string"),
    "a time-out in hours": ("retire: {timeout: 1h}", "at '/retire/timeout'", "does not match pattern"),
    "a budget of words": (
        "podDisruptionBudget: {maxUnavailable: one}",
        "at '/podDisruptionBudget/maxUnavailable'",
        "%",
    ),
    "a topology without a skew": (
        "topologySpreadConstraints: [{topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]",
        "at '/topologySpreadConstraints/0'",
        "missing property 'maxSkew'",
    ),
    "terms of affinity without their kind": (
        "affinity: {requiredDuringSchedulingIgnoredDuringExecution: []}",
        "at '/affinity'",
        "additional properties 'requiredDuringSchedulingIgnoredDuringExecution' not allowed",
    ),
    "a misspelt effect": (
        "tolerations: [{key: a, effect: NoSchedul}]",
        "at '/tolerations/0/effect'",
        "value must be one of 'NoSchedule', 'PreferNoSchedule', 'NoExecute'",
    ),
    "resources without limits or requests": (
        "resources: {memory: 1Gi}",
        "at '/resources'",
        "additional properties 'memory' not allowed",
    ),
    "a quantity of another world": (
        "resources: {limits: {memory: 1GB}}",
        "at '/resources/limits/memory'",
        "does not match pattern",
    ),
    "a label that is no text": ("podLabels: {on: true}", "at '/podLabels/", "got boolean, want string"),
    "an address for a peer": (
        "networkPolicy: {brokers: {to: [10.0.0.0/8]}}",
        "at '/networkPolicy/brokers/to/0'",
        "got string, want object",
    ),
    "a peer of no kind": ("networkPolicy: {metricsFrom: [{}]}", "at '/networkPolicy/metricsFrom/0'", "minProperties"),
    "no port for the brokers": (
        "networkPolicy: {brokers: {ports: []}}",
        "at '/networkPolicy/brokers/ports'",
        "minItems",
    ),
    "an interval without a unit": (
        "metrics: {serviceMonitor: {interval: '15'}}",
        "at '/metrics/serviceMonitor/interval'",
        "does not match pattern",
    ),
    "an alert of others": (
        "metrics: {prometheusRule: {disabled: [Watchdog]}}",
        "at '/metrics/prometheusRule/disabled/0'",
        "does not match pattern '^Tidegate",
    ),
    "arguments in one word": ("extraArgs: --period 7", "at '/extraArgs'", "got string, want array"),
    "a variable without a name": ("extraEnv: [{value: x}]", "at '/extraEnv/0'", "missing property 'name'"),
    "a variable that is a number": (
        "extraEnv: [{name: A, value: 1}]",
        "at '/extraEnv/0/value'",
        "got number, want string",
    ),
    "objects in a map": ("extraObjects: {a: {}}", "at '/extraObjects'", "got object, want array"),
}


@pytest.mark.parametrize(("values", "where", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_value_is_named(values: str, where: str, what: str, tmp_path: Path):
    assert yaml.safe_load(values)
    (tmp_path / "values.yaml").write_text(values)
    done = template("-f", tmp_path / "values.yaml")
    assert done.returncode, "it was accepted"
    assert "values don't meet the specifications of the schema" in done.stderr
    assert where in done.stderr
    assert what in done.stderr


CONTRADICTIONS = {
    "two servers on one port": (
        "{operator: {port: 8016}, ofrep: {enabled: true}}",
        "ofrep.port is 8016, as operator.port is: two servers need two ports",
    ),
    "the account of nobody": (
        "serviceAccount: {create: false}",
        "serviceAccount.create is false: name the ServiceAccount that is there in serviceAccount.name",
    ),
    "a budget that no drain can keep": (
        "{replicaCount: 1, podDisruptionBudget: {minAvailable: 1}}",
        "podDisruptionBudget.minAvailable is 1 of 1 replicas: no node with one of them could be drained",
    ),
    "another one": (
        "podDisruptionBudget: {maxUnavailable: 0%}",
        "podDisruptionBudget.maxUnavailable is 0%: no node with one of the pods could be drained",
    ),
    "an alert that does not exist": (
        "metrics: {prometheusRule: {enabled: true, disabled: [TidegateTypo]}}",
        "metrics.prometheusRule.disabled: there is no alert TidegateTypo; there are",
    ),
}


@pytest.mark.parametrize(("values", "words"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_values_that_contradict_each_other_are_refused(values: str, words: str, tmp_path: Path):
    (tmp_path / "values.yaml").write_text(values)
    done = template("-f", tmp_path / "values.yaml")
    assert done.returncode, "it was accepted"
    assert words in done.stderr


def test_an_old_cluster_is_refused():
    done = template(version="1.29.9")
    assert done.returncode
    assert "chart requires kubeVersion: >=1.30.0-0 which is incompatible with Kubernetes v1.29.9" in done.stderr


def test_a_vendors_version_is_taken():
    assert template(version="1.33.2-gke.100").returncode == 0


def test_a_parent_chart_may_share_its_own_values(tmp_path: Path):
    (tmp_path / "values.yaml").write_text("{global: {imageRegistry: x}, enabled: true}")
    assert template("-f", tmp_path / "values.yaml").returncode == 0
