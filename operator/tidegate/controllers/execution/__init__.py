"""An approved PartitionProposal, carried out so that no record is lost, whatever happens in between."""

from tidegate.cluster.finalizer import FINALIZER
from tidegate.controllers.execution.runner import execute

__all__ = ["FINALIZER", "execute"]
