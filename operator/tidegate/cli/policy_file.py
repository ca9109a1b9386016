"""A LagPolicy from a file, as `kubectl apply` would be given it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from tidegate.api import Behavior, LagPolicy, SelectPolicy
from tidegate.api.model import InvalidResourceError

SHORTEST, LONGEST = timedelta(seconds=1), timedelta(hours=24)


class PolicyFileError(ValueError):
    """A file without one LagPolicy that could be applied; the message names the field and what would be right."""


def policy_in(path: Path) -> LagPolicy:
    """The one LagPolicy of a YAML file; documents of other kinds beside it are left alone."""
    found = [document for document in _documents(path) if document.get("kind") == "LagPolicy"]
    if not found:
        raise PolicyFileError(f"{path} has no document of kind LagPolicy; examples/minimal.yaml is one")
    if len(found) > 1:
        raise PolicyFileError(f"{path} has {len(found)} LagPolicies; give a file with the one to simulate")
    try:
        policy = LagPolicy.parse(found[0])
    except InvalidResourceError as error:
        raise PolicyFileError(f"{path}: {error}") from None
    wrong = "; ".join(_broken_rules(policy))
    if wrong:
        raise PolicyFileError(f"{path}: {wrong}")
    return policy


def _documents(path: Path) -> list[dict[str, Any]]:
    try:
        return [document for document in yaml.safe_load_all(path.read_text("utf-8")) if isinstance(document, dict)]
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyFileError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise PolicyFileError(f"{path} is not YAML: {error}") from error


def _broken_rules(policy: LagPolicy) -> Iterator[str]:
    """The rules of the schema's CEL that a simulation depends on; the API server has them all."""
    spec = policy.spec
    if not SHORTEST <= spec.objective.max_age <= LONGEST:
        yield "spec.objective.maxAge must be a duration from 1s to 24h, such as 60s, 5m or 1h30m"
    if spec.replicas.min > spec.replicas.max:
        yield "spec.replicas.min must not be above spec.replicas.max"
    if spec.capacity.records_per_second == 0:
        yield "spec.capacity.recordsPerSecond must be above 0, and in quotes if not whole: 120 or '0.5'"
    behavior = spec.behavior or Behavior()
    for direction, limits in (("scaleUp", behavior.scale_up), ("scaleDown", behavior.scale_down)):
        if limits.select_policy is SelectPolicy.MIN and not limits.policies:
            yield f"spec.behavior.{direction}.selectPolicy: Min chooses among policies: give at least one"
    if spec.degradation is not None and spec.degradation.highest > len(spec.degradation.levels):
        yield "spec.degradation.maxLevel must not be above the number of levels"
    if spec.source.kafka.topics and spec.source.kafka.topic_pattern:
        yield "spec.source.kafka.topics and spec.source.kafka.topicPattern exclude each other: keep one of them"
