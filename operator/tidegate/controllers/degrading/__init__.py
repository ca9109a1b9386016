"""The degradation ladder of a LagPolicy in the cluster: its flags are read before the engine's step, switched after."""

from tidegate.controllers.degrading.departures import Departures, Occasion, held
from tidegate.controllers.degrading.looking import Look, describe, flags_of, look
from tidegate.controllers.degrading.stepping import carry_out

__all__ = ["Departures", "Look", "Occasion", "carry_out", "describe", "flags_of", "held", "look"]
