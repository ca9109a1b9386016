"""Namespaces that tests have for themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

from demo.stack import Stack


@contextmanager
def created(stack: Stack, name: str) -> Iterator[str]:
    """A namespace in which pods can start; afterwards it is deleted, which nobody waits for."""
    stack.kubectl("create", "namespace", name)
    try:
        stack.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=180s")
        yield name
    finally:
        stack.kubectl("delete", "namespace", name, "--wait=false")
