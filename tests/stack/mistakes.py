"""Mistakes people make in resources: name → (field, value, what the API server has to say about it)."""

import copy
from typing import Any

from tests.stack.degradation_mistakes import WRONG as DEGRADATION_MISTAKES

SECRET = {"secretKeyRef": {"name": "client", "key": "value"}}
POLICY: dict[str, Any] = {
    "apiVersion": "tidegate.dev/v1alpha1",
    "kind": "LagPolicy",
    "metadata": {"name": "points"},
    "spec": {
        "targetRef": {"name": "points-consumer"},
        "source": {"kafka": {"connectionRef": {"name": "shop-kafka"}, "group": "points-service"}},
        "objective": {"maxAge": "60s"},
        "replicas": {"max": 12},
    },
}
CONNECTION: dict[str, Any] = {
    "apiVersion": "tidegate.dev/v1alpha1",
    "kind": "BrokerConnection",
    "metadata": {"name": "shop-kafka"},
    "spec": {"kafka": {"bootstrapServers": ["kafka.shop.svc:9092"]}},
}
CLUSTER_CONNECTION = CONNECTION | {"kind": "ClusterBrokerConnection", "metadata": {"name": "elsewhere-kafka"}}
PROPOSAL: dict[str, Any] = {
    "apiVersion": "tidegate.dev/v1alpha1",
    "kind": "PartitionProposal",
    "metadata": {"name": "points-points-deduct-6-to-24-0a1b2"},
    "spec": {
        "policy": "points",
        "topic": "points.deduct",
        "from": 6,
        "to": 24,
        "expires": "2030-01-02T03:04:05Z",
        "evidence": {
            "time": "2030-01-01T03:04:05Z",
            "cluster": "5L6g3nShT-eMCtK--X86sw",
            "topicId": "J8xqBk7ZQ3yYc1pL0aVtGg",
            "group": "points-service",
            "groups": [{"name": "points-service", "type": "Classic", "members": 6, "offsetReset": "latest"}],
            "lag": 480000,
            "age": "2m10s",
            "arrivalRate": "1100",
            "lookedBack": "4h",
            "perReplica": "50",
            "boundFor": "10m",
            "need": 24,
            "ceiling": 6,
            "ceilingAfter": 24,
            "pause": "20s",
            "message": "1,100/s arrive, 6 replicas can do 300/s",
        },
    },
}

REMOVED = object()


def with_(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The object with one field set (or REMOVED)."""
    changed = copy.deepcopy(base)
    *parents, last = path.split(".")
    part = changed
    for parent in parents:
        part = part.setdefault(parent, {})
    if value is REMOVED:
        del part[last]
    else:
        part[last] = value
    return changed


MAX_AGE = "spec.objective.maxAge must be a duration from 1s to 24h, such as 60s, 5m or 1h30m"
RATE = "spec.capacity.recordsPerSecond must be above 0, and in quotes if not whole: 120 or '0.5'"
TOPIC = "each of spec.source.kafka.topics must be the name of a topic"

POD_A_MINUTE = {"type": "Pods", "value": 1, "periodSeconds": 60}


def _mistaken(**changes: Any) -> dict[str, Any]:
    """A behavior whose only policy has a mistake."""
    return {"scaleUp": {"policies": [{key: v for key, v in (POD_A_MINUTE | changes).items() if v is not REMOVED}]}}


SCALE_UP = "spec.behavior.scaleUp"

POLICY_MISTAKES = {
    "no target": ("spec.targetRef", REMOVED, "spec.targetRef: Required value"),
    "a target without a name": ("spec.targetRef.name", REMOVED, "spec.targetRef.name: Required value"),
    "a name in capitals": ("spec.targetRef.name", "Points", "spec.targetRef.name must be the name of a workload"),
    "a kind in lower case": ("spec.targetRef.kind", "deployment", "spec.targetRef.kind must be a kind in CamelCase"),
    "a version without v": ("spec.targetRef.apiVersion", "apps/1", "spec.targetRef.apiVersion must be group/version"),
    "no source": ("spec.source", REMOVED, "spec.source: Required value"),
    "a source that is none": ("spec.source", {}, "spec.source.kafka: Required value"),
    "no connection": ("spec.source.kafka.connectionRef", REMOVED, "spec.source.kafka.connectionRef: Required value"),
    "a connection of another kind": (
        "spec.source.kafka.connectionRef.kind",
        "Secret",
        'spec.source.kafka.connectionRef.kind: Unsupported value: "Secret": supported values: "BrokerConnection", ',
    ),
    "a connection by its address": (
        "spec.source.kafka.connectionRef.name",
        "kafka:9092",
        "spec.source.kafka.connectionRef.name must be the name of that object",
    ),
    "no group": ("spec.source.kafka.group", REMOVED, "spec.source.kafka.group: Required value"),
    "an empty group": ("spec.source.kafka.group", "", "spec.source.kafka.group in body should be at least 1 chars"),
    "a group longer than a group can be": ("spec.source.kafka.group", "g" * 256, "spec.source.kafka.group: Too long"),
    "topics and a pattern": (
        "spec.source.kafka",
        {**POLICY["spec"]["source"]["kafka"], "topics": ["a"], "topicPattern": "a"},
        "spec.source.kafka.topics and spec.source.kafka.topicPattern exclude each other",
    ),
    "no topic in topics": ("spec.source.kafka.topics", [], "spec.source.kafka.topics in body should have at least 1"),
    "a topic named twice": (
        "spec.source.kafka.topics",
        ["a", "b", "a"],
        "spec.source.kafka.topics[2]: Duplicate value",
    ),
    "a pattern among topics": ("spec.source.kafka.topics", ["a", "points.*"], TOPIC),
    "a topic named ..": ("spec.source.kafka.topics", [".."], TOPIC),
    "a topic longer than Kafka allows": (
        "spec.source.kafka.topics",
        ["t" * 250],
        "spec.source.kafka.topics[0]: Too long",
    ),
    "a topic that is a number": (
        "spec.source.kafka.topics",
        [7],
        "spec.source.kafka.topics[0] in body must be of type string",
    ),
    "a topic instead of topics": (
        "spec.source.kafka.topics",
        "a",
        "spec.source.kafka.topics in body must be of type array",
    ),
    "a pattern with an open bracket": ("spec.source.kafka.topicPattern", "points(", "missing closing ): `points(`"),
    "a pattern with a look-ahead": (
        "spec.source.kafka.topicPattern",
        "(?!test)points",
        "spec.source.kafka.topicPattern must be a regular expression in RE2 syntax",
    ),
    "offsetReset in Kafka's third way": (
        "spec.source.kafka.offsetReset",
        "none",
        'spec.source.kafka.offsetReset: Unsupported value: "none": supported values: "latest", "earliest"',
    ),
    "isolation with a hyphen": (
        "spec.source.kafka.isolation",
        "read-committed",
        'spec.source.kafka.isolation: Unsupported value: "read-committed": supported values: "read_uncommitted", ',
    ),
    "no promise": ("spec.objective", REMOVED, "spec.objective: Required value"),
    "an empty promise": ("spec.objective", {}, "spec.objective.maxAge: Required value"),
    "a promise in words": ("spec.objective.maxAge", "one minute", MAX_AGE),
    "a promise without a unit": ("spec.objective.maxAge", "60", MAX_AGE),
    "a promise as a number": ("spec.objective.maxAge", 60, "spec.objective.maxAge in body must be of type string"),
    "a promise in days": ("spec.objective.maxAge", "1d", MAX_AGE),
    "a promise with a fraction": ("spec.objective.maxAge", "1.5m", MAX_AGE),
    "a promise nobody can keep": ("spec.objective.maxAge", "999ms", MAX_AGE),
    "a promise nobody would notice": ("spec.objective.maxAge", "24h1s", MAX_AGE),
    "no limits": ("spec.replicas", REMOVED, "spec.replicas: Required value"),
    "no upper limit": ("spec.replicas", {"min": 2}, "spec.replicas.max: Required value"),
    "never a replica": (
        "spec.replicas",
        {"min": 0, "max": 0},
        "spec.replicas.max in body should be greater than or equal to 1",
    ),
    "fewer than none": ("spec.replicas.min", -1, "spec.replicas.min in body should be greater than or equal to 0"),
    "more than anybody has": (
        "spec.replicas.max",
        10001,
        "spec.replicas.max in body should be less than or equal to 10000",
    ),
    "half a replica": ("spec.replicas.min", 0.5, "spec.replicas.min in body must be of type integer"),
    "min above max": ("spec.replicas.min", 13, "spec.replicas.min must not be above spec.replicas.max"),
    "no capacity at all": ("spec.capacity.recordsPerSecond", 0, RATE),
    "a negative capacity": ("spec.capacity.recordsPerSecond", -5, RATE),
    "a capacity of nothing in quotes": ("spec.capacity.recordsPerSecond", "0.0", RATE),
    "a capacity in words": ("spec.capacity.recordsPerSecond", "many", RATE),
    "a fraction without quotes": (
        "spec.capacity.recordsPerSecond",
        0.5,
        "spec.capacity.recordsPerSecond in body must be of type integer,string",
    ),
    "no consumer in a replica": (
        "spec.capacity.consumersPerReplica",
        0,
        "spec.capacity.consumersPerReplica in body should be greater than or equal to 1",
    ),
    "a start that takes a day": (
        "spec.capacity.startup",
        "24h",
        "spec.capacity.startup must be a duration of at most 1h, such as 30s",
    ),
    "a rebalance in words": (
        "spec.capacity.rebalance",
        "fast",
        "spec.capacity.rebalance must be a duration of at most 1h, such as 30s",
    ),
    "a window longer than an HPA's": (
        "spec.behavior",
        {"scaleDown": {"stabilizationWindowSeconds": 3601}},
        "spec.behavior.scaleDown.stabilizationWindowSeconds in body should be less than or equal to 3600",
    ),
    "a window in words": (
        "spec.behavior",
        {"scaleDown": {"stabilizationWindowSeconds": "5m"}},
        "spec.behavior.scaleDown.stabilizationWindowSeconds in body must be of type integer",
    ),
    "a direction of its own": ("spec.behavior", {"scaleOut": {}}, 'unknown field "spec.behavior.scaleOut"'),
    "an HPA's tolerance": (SCALE_UP, {"tolerance": "0.1"}, f'unknown field "{SCALE_UP}.tolerance"'),
    "no policy in policies": (SCALE_UP, {"policies": []}, f"{SCALE_UP}.policies in body should have at least 1 items"),
    "more policies than anybody reads": (
        SCALE_UP,
        {"policies": [POD_A_MINUTE] * 17},
        f"{SCALE_UP}.policies: Too many: 17: must have at most 16 items",
    ),
    "the lesser of no policies": (
        SCALE_UP,
        {"selectPolicy": "Min"},
        "selectPolicy: Min chooses among policies: give at least one, such as {type: Pods, value: 4, ",
    ),
    "a choice of its own": (
        SCALE_UP,
        {"selectPolicy": "Never"},
        f'{SCALE_UP}.selectPolicy: Unsupported value: "Never": supported values: "Max", "Min", "Disabled"',
    ),
    "a policy without a type": (
        "spec.behavior",
        _mistaken(type=REMOVED),
        f"{SCALE_UP}.policies[0].type: Required value",
    ),
    "a policy by replicas": (
        "spec.behavior",
        _mistaken(type="Replicas"),
        f'{SCALE_UP}.policies[0].type: Unsupported value: "Replicas": supported values: "Pods", "Percent"',
    ),
    "a policy without a value": (
        "spec.behavior",
        _mistaken(value=REMOVED),
        f"{SCALE_UP}.policies[0].value: Required value",
    ),
    "a policy of nothing": (
        "spec.behavior",
        _mistaken(value=0),
        f"{SCALE_UP}.policies[0].value in body should be greater than or equal to 1",
    ),
    "a policy without a period": (
        "spec.behavior",
        _mistaken(periodSeconds=REMOVED),
        f"{SCALE_UP}.policies[0].periodSeconds: Required value",
    ),
    "a policy of no time": (
        "spec.behavior",
        _mistaken(periodSeconds=0),
        f"{SCALE_UP}.policies[0].periodSeconds in body should be greater than or equal to 1",
    ),
    "a policy of more than half an hour": (
        "spec.behavior",
        _mistaken(periodSeconds=1801),
        f"{SCALE_UP}.policies[0].periodSeconds in body should be less than or equal to 1800",
    ),
    "no partition at all": (
        "spec.partitions.max",
        0,
        "spec.partitions.max in body should be greater than or equal to 1",
    ),
    "more partitions than a cluster has": (
        "spec.partitions.max",
        100001,
        "spec.partitions.max in body should be less than or equal to 100000",
    ),
    "an increase by nothing": (
        "spec.partitions.maxFactor",
        1,
        "spec.partitions.maxFactor in body should be greater than or equal to 2",
    ),
    "an increase by a half": (
        "spec.partitions.maxFactor",
        1.5,
        "spec.partitions.maxFactor in body must be of type integer",
    ),
    "partitions without asking": (
        "spec.partitions.mode",
        "Auto",
        'spec.partitions.mode: Unsupported value: "Auto": supported values: "Off", "Propose", "Apply"',
    ),
    "keys in words": ("spec.partitions.keyed", "no", "spec.partitions.keyed in body must be of type boolean"),
    "a lower limit of partitions": ("spec.partitions.min", 6, 'unknown field "spec.partitions.min"'),
    "a mode of another product": (
        "spec.mode",
        "Auto",
        'spec.mode: Unsupported value: "Auto": supported values: "Active", ',
    ),
    "a typing error": ("spec.objektive", {"maxAge": "5m"}, 'unknown field "spec.objektive"'),
    "a feature of a later version": ("spec.weather", {"levels": []}, 'unknown field "spec.weather"'),
}

SERVER = "each of spec.kafka.bootstrapServers must be host:port, such as kafka.shop.svc:9092"
CREDENTIALS = {"username": SECRET, "password": SECRET}
OAUTH = {"tokenEndpoint": "https://login.example.com/token", "clientId": SECRET, "clientSecret": SECRET}
PLAIN = {"mechanism": "PLAIN", "credentials": CREDENTIALS}

CONNECTION_MISTAKES = {
    "no broker at all": ("spec", {}, "spec.kafka: Required value"),
    "no address": ("spec.kafka", {}, "spec.kafka.bootstrapServers: Required value"),
    "an empty list of addresses": (
        "spec.kafka.bootstrapServers",
        [],
        "spec.kafka.bootstrapServers in body should have at least 1 items",
    ),
    "an address without a port": ("spec.kafka.bootstrapServers", ["kafka"], SERVER),
    "an address with a scheme": ("spec.kafka.bootstrapServers", ["kafka://b:9092"], SERVER),
    "two addresses in one": ("spec.kafka.bootstrapServers", ["a:9092,b:9092"], SERVER),
    "a port that is none": ("spec.kafka.bootstrapServers", ["b:65536"], SERVER),
    "an address twice": (
        "spec.kafka.bootstrapServers",
        ["b:1", "b:1"],
        "spec.kafka.bootstrapServers[1]: Duplicate value",
    ),
    "a secret in the open": ("spec.kafka.tls.ca", "PEM", "spec.kafka.tls.ca in body must be of type object"),
    "a secret without its key": (
        "spec.kafka.tls.ca",
        {"secretKeyRef": {"name": "client"}},
        "spec.kafka.tls.ca.secretKeyRef.key: Required value",
    ),
    "a key with a blank": (
        "spec.kafka.tls.ca",
        {"secretKeyRef": {"name": "client", "key": "ca crt"}},
        "secretKeyRef.key must be a key of a Secret",
    ),
    "a secret of another namespace": (
        "spec.kafka.tls.ca",
        {"secretKeyRef": {"name": "client", "key": "ca.crt", "namespace": "kafka"}},
        'unknown field "spec.kafka.tls.ca.secretKeyRef.namespace"',
    ),
    "a certificate without its key": (
        "spec.kafka.tls.certificate",
        {"certificate": SECRET},
        "spec.kafka.tls.certificate.key: Required value",
    ),
    "a switch thrown the wrong way": (
        "spec.kafka.tls.hostnameVerification",
        "Off",
        'spec.kafka.tls.hostnameVerification: Unsupported value: "Off": supported values: "Enabled", "Disabled"',
    ),
    "sasl without a mechanism": (
        "spec.kafka.sasl",
        {"credentials": CREDENTIALS},
        "spec.kafka.sasl.mechanism: Required value",
    ),
    "a mechanism Tidegate does not speak": (
        "spec.kafka.sasl",
        PLAIN | {"mechanism": "GSSAPI"},
        'spec.kafka.sasl.mechanism: Unsupported value: "GSSAPI": supported values: "PLAIN", "SCRAM-SHA-256", ',
    ),
    "a password missing": (
        "spec.kafka.sasl",
        {"mechanism": "PLAIN", "credentials": {"username": SECRET}},
        "spec.kafka.sasl.credentials.password: Required value",
    ),
    "scram without credentials": (
        "spec.kafka.sasl",
        {"mechanism": "SCRAM-SHA-512"},
        "spec.kafka.sasl.credentials is required for the mechanisms PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512",
    ),
    "a token without where to get it": (
        "spec.kafka.sasl",
        {"mechanism": "OAUTHBEARER"},
        "spec.kafka.sasl.oauth is required for the mechanism OAUTHBEARER",
    ),
    "a token and a password": (
        "spec.kafka.sasl",
        {"mechanism": "OAUTHBEARER", "oauth": OAUTH, "credentials": CREDENTIALS},
        "spec.kafka.sasl.credentials is not for the mechanism OAUTHBEARER: use spec.kafka.sasl.oauth",
    ),
    "a password and a token": (
        "spec.kafka.sasl",
        PLAIN | {"oauth": OAUTH},
        "spec.kafka.sasl.oauth is for the mechanism OAUTHBEARER only",
    ),
    "a token endpoint without a scheme": (
        "spec.kafka.sasl",
        {"mechanism": "OAUTHBEARER", "oauth": OAUTH | {"tokenEndpoint": "login.example.com/token"}},
        "spec.kafka.sasl.oauth.tokenEndpoint must be a URL, such as https://login.example.com/oauth2/token",
    ),
    "a secret in a token endpoint": (
        "spec.kafka.sasl",
        {"mechanism": "OAUTHBEARER", "oauth": OAUTH | {"tokenEndpoint": "https://me:secret@login.example.com/token"}},
        "spec.kafka.sasl.oauth.tokenEndpoint must be a URL",
    ),
}

MADE_UNDECIDED = "spec.decision must be Pending, and spec.acknowledge empty, in a new proposal"

PROPOSAL_MISTAKES = {
    "approved as it is made": ("spec.decision", "Approve", MADE_UNDECIDED),
    "rejected as it is made": ("spec.decision", "Reject", MADE_UNDECIDED),
    "hazards acknowledged before they are known": ("spec.acknowledge", ["KeyOrdering"], MADE_UNDECIDED),
    "a decision in other words": (
        "spec.decision",
        "Approved",
        'spec.decision: Unsupported value: "Approved": supported values: "Pending", "Approve", "Reject"',
    ),
    "a method of its own": (
        "spec.method",
        "Rolling",
        'spec.method: Unsupported value: "Rolling": supported values: "Live", "PausedGroup"',
    ),
    "fewer partitions": ("spec.to", 5, "spec.to must be above spec.from: partitions cannot be taken away"),
    "as many partitions": ("spec.to", 6, "spec.to must be above spec.from: partitions cannot be taken away"),
    "no evidence": ("spec.evidence", REMOVED, "spec.evidence: Required value"),
    "no end": ("spec.expires", REMOVED, "spec.expires: Required value"),
}

CLUSTER_CONNECTION_MISTAKES = {
    "a secret of no namespace": (
        "spec.kafka.tls.ca",
        SECRET,
        "spec.kafka.tls.ca.secretKeyRef.namespace: Required value",
    ),
    "a password of no namespace": (
        "spec.kafka.sasl",
        PLAIN,
        "spec.kafka.sasl.credentials.password.secretKeyRef.namespace: Required value",
    ),
    "a namespace in capitals": (
        "spec.kafka.tls.ca",
        {"secretKeyRef": {"name": "client", "key": "ca.crt", "namespace": "Kafka"}},
        "secretKeyRef.namespace must be the name of a namespace",
    ),
}

EVERY = [
    (f"{base['kind']}: {name}", base, *mistake)
    for base, mistakes in (
        (POLICY, POLICY_MISTAKES),
        (POLICY, DEGRADATION_MISTAKES),
        (PROPOSAL, PROPOSAL_MISTAKES),
        (CONNECTION, CONNECTION_MISTAKES),
        (CLUSTER_CONNECTION, CLUSTER_CONNECTION_MISTAKES),
    )
    for name, mistake in mistakes.items()
]
