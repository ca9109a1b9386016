"""The flags of the degradation ladder: their document, where it is kept, and the way from one level to another."""

from tidegate.cluster.flags.document import Document, read_document, unfit, with_variants
from tidegate.cluster.flags.sinks import FlagSink, Seen, propagation_of
from tidegate.cluster.flags.steps import Standing, Step, confirmed, standing, step_to
from tidegate.cluster.flags.store import FlagStore, Place, open_sink

__all__ = [
    "Document",
    "FlagSink",
    "FlagStore",
    "Place",
    "Seen",
    "Standing",
    "Step",
    "confirmed",
    "open_sink",
    "propagation_of",
    "read_document",
    "standing",
    "step_to",
    "unfit",
    "with_variants",
]
