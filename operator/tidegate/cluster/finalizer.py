"""The finalizer that keeps a PartitionProposal, whoever deletes it, until the target of its increase is back."""

from kubernetes.aio.client import ApiClient

from tidegate.api import GROUP, PartitionProposal
from tidegate.cluster import objects

FINALIZER = f"{GROUP}/execution"
"""Set before the target is scaled to zero, removed when it has its replicas again."""


async def hold(api: ApiClient, proposal: PartitionProposal) -> bool:
    """Add the finalizer, if the proposal is still as it was seen; False: it is not. Raises one of FAILURES."""
    return await objects.hold(api, proposal, FINALIZER) is not None


async def release(api: ApiClient, proposal: PartitionProposal) -> bool:
    """Remove it, if the proposal is still as it was seen; False: it is not. Raises one of FAILURES."""
    return await objects.release(api, proposal, FINALIZER) is not None
