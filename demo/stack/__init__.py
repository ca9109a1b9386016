"""A real Kubernetes control plane, a real Kafka and pods as processes, on the loopback and without containers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.stack.processes import StackError
    from demo.stack.stack import Stack

__all__ = ["Stack", "StackError"]


def __getattr__(name: str) -> object:
    """Import on first use: the stack's own small processes (guard, tokens, kubelet) need none of it."""
    if name in __all__:
        from demo.stack import stack

        return getattr(stack, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
