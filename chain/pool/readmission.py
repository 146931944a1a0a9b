"""End the quarantine of nodes: repeat the calls that they answered differently, until they give the agreed answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from chain.errors import CallReverted, NoAgreement
from chain.node.batch import Batcher
from chain.node.disagreements import MAX_TRIES, Disagreement
from chain.node.metrics import ChainMetrics
from chain.node.node import Node
from kit.logs import get_logger

log = get_logger(__name__)


def readmit(node: Node, metrics: ChainMetrics) -> None:
    """Record that a node's quarantine has ended, because its last contradiction is resolved."""
    metrics.quarantine(node.name, active=False)
    log.warning("chain.node_readmitted", node=node.name)


async def recheck(node: Node, quorum: Callable[..., Awaitable[Any]], batcher: Batcher, metrics: ChainMetrics) -> None:
    """Repeat the calls that a node was quarantined for. `quorum` readmits the node if it gives the agreed answers.

    A call is dropped after MAX_TRIES repetitions that bring no answer from the node or from the others.
    """

    async def repeat(disagreement: Disagreement) -> None:
        give_up = disagreement.tries > MAX_TRIES
        try:
            await quorum(
                disagreement.method, disagreement.params, k=disagreement.needed, key=disagreement.key, batcher=batcher
            )
        except CallReverted:
            return
        except NoAgreement as error:
            if node.provider in error.answered:
                disagreement.tries = 0
                return
            give_up = give_up or not error.answered
        # Unless the node has just contradicted the others again, which replaced the record.
        if give_up and node.disagreements.find(disagreement.method, disagreement.params) is disagreement:
            node.disagreements.resolve(disagreement.method, disagreement.params)
            if not node.quarantined:
                readmit(node, metrics)

    await asyncio.gather(*(repeat(disagreement) for disagreement in node.disagreements.due()))
