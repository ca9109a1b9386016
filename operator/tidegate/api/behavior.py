"""`spec.behavior`: the user's limit on how fast the replicas change, in the HorizontalPodAutoscaler's own shape.

Fields, bounds and words are those of autoscaling/v2 (Kubernetes 1.36), so that an HPA's `behavior` can be pasted. What
differs: an absent part sets no limit, where the HPA has defaults; and there is no `tolerance`, which is one of the
ratio that an HPA computes.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from tidegate.api.model import Model, rules

LONGEST_WINDOW, LONGEST_PERIOD, MOST = 3600, 1800, 2**31 - 1
"""The HPA's own bounds: seconds, seconds, and what its 32-bit numbers hold."""


class SelectPolicy(StrEnum):
    """Which of several policies counts."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class PolicyType(StrEnum):
    """What the value of a policy counts."""

    PODS = "Pods"
    PERCENT = "Percent"


class ScalingPolicy(Model):
    """How much may change in a period."""

    type: PolicyType = Field(description="What `value` counts: Pods, or Percent of the replicas at the period's start.")
    value: Annotated[int, Field(ge=1, le=MOST)] = Field(
        description="By how much the replicas may differ from those at the period's start. Example: 4."
    )
    period_seconds: Annotated[int, Field(ge=1, le=LONGEST_PERIOD)] = Field(
        description="Length of the period in seconds, counted back from now at every decision. Example: 60."
    )


class ScalingRules(Model):
    """The limits of one direction."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.selectPolicy) || self.selectPolicy != 'Min' || has(self.policies)",
                "selectPolicy: Min chooses among policies: give at least one, such as {type: Pods, value: 4, "
                "periodSeconds: 60} (without policies there is no limit: the HPA's defaults do not apply here)",
            )
        )
    )

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=LONGEST_WINDOW)] = Field(
        default=0,
        description=(
            "Of all sizes recommended in so many seconds the safest counts: up the smallest, down the largest. "
            "Default 0 in both directions (an HPA waits 300 before it scales down). Example: 300."
        ),
    )
    select_policy: SelectPolicy = Field(
        default=SelectPolicy.MAX,
        description=(
            "Which policy counts: the one that allows the most change (Max, the default), the one that allows the "
            "least (Min), or no change at all in this direction (Disabled)."
        ),
    )
    policies: Annotated[tuple[ScalingPolicy, ...], Field(min_length=1, max_length=16)] | None = Field(
        default=None,
        description=(
            "How much may change in which period. Example: [{type: Percent, value: 50, periodSeconds: 60}]. Where "
            "absent any change is allowed at once."
        ),
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class Behavior(Model):
    """How fast the replicas may change."""

    scale_up: ScalingRules = Field(default=ScalingRules(), description="Limits of scaling up. Default: none.")
    scale_down: ScalingRules = Field(default=ScalingRules(), description="Limits of scaling down. Default: none.")
