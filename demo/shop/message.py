"""The message of the shop: deduct points from a user's balance, once."""

import json
from typing import NamedTuple


class Deduction(NamedTuple):
    """`points` (whole points, > 0) to take from `user`; `id` is unique for ever."""

    id: str
    user: str
    points: int

    def encode(self) -> bytes:
        """The value of the Kafka record (JSON)."""
        return json.dumps(self._asdict()).encode()

    @classmethod
    def decode(cls, value: bytes) -> "Deduction":
        """Read a record's value; ValueError says what is wrong with it."""
        try:
            return cls(**json.loads(value))
        except (TypeError, ValueError) as error:
            raise ValueError(f"not a deduction (a JSON object with id, user and points): {value[:100]!r}") from error
