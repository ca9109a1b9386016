"""What a LagPolicy lets be done about too few partitions."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tidegate.api.model import Model


class PartitionsMode(StrEnum):
    """What Tidegate does where the need stays above what the partitions can use."""

    OFF = "Off"
    PROPOSE = "Propose"
    APPLY = "Apply"


class PartitionsSpec(Model):
    """The limits of partition increases. An increase cannot be undone."""

    mode: PartitionsMode = Field(
        default=PartitionsMode.PROPOSE,
        description=(
            "Propose (the default) makes a PartitionProposal that a person approves or rejects; Apply carries it out "
            "without asking, where no hazard blocks; Off only says that the partitions are the limit."
        ),
    )
    max: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="Never more partitions than this in a topic. Example: 96. Absent: no limit.",
    )
    max_factor: Annotated[int, Field(ge=2, le=100)] = Field(
        default=4, description="One increase multiplies the partitions of a topic by at most this. Default 4."
    )
    keyed: bool = Field(
        default=True,
        description=(
            "Whether producers give records keys whose order matters. True (the default) until you know better: an "
            "increase moves keys to other partitions, so that records of one key may overtake one another once."
        ),
    )
