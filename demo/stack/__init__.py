"""A real Kubernetes control plane, a real Kafka and pods as processes, on the loopback and without containers."""

from demo.stack.processes import StackError
from demo.stack.stack import Stack

__all__ = ["Stack", "StackError"]
