"""Flags for applications that ask: the OpenFeature Remote Evaluation Protocol (OFREP 0.3.0)."""

from tidegate.controllers.ofrep.server import serving_flags
from tidegate.controllers.ofrep.tokens import TokensError

__all__ = ["TokensError", "serving_flags"]
