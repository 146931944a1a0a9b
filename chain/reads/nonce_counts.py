"""How many transactions of a wallet each provider counts. Unlike in other reads, one provider's answer has an effect: it can only delay signing."""

import asyncio
from typing import Final

from chain.errors import NoAgreement
from chain.pool.pool import Pool
from chain.types import Address, quantity

PATIENCE: Final = 2.0
"""Seconds that silent nodes have once as many providers as must agree have answered. Each new leader asks this once."""


async def nonce_counts(pool: Pool, address: Address) -> dict[str, int]:
    """Return for each provider how many transactions of a wallet its nodes count, mined (`latest`) or waiting (`pending`): the highest number.

    The providers are not compared with each other. mezod counts only the first page of its waiting transactions, so a number may be too
    low. Raises NoAgreement if fewer providers answer than have to agree.
    """
    providers, batcher = {node.name: node.provider for node in pool.nodes}, pool.batcher()
    answers = await asyncio.gather(
        *(
            pool.broadcast("eth_getTransactionCount", [address, tag], batcher=batcher, patience=PATIENCE)
            for tag in ("latest", "pending")
        )
    )
    counts: dict[str, int] = {}
    for reply in (reply for replies in answers for reply in replies):
        if reply.error is not None:
            continue
        try:
            count = quantity(reply.result)
        except ValueError:
            continue
        provider = providers[reply.node]
        counts[provider] = max(count, counts.get(provider, 0))
    if len(counts) < pool.agreement:
        raise NoAgreement(
            "silence",
            answered=tuple(counts),
            detail=f"{pool.agreement} providers must report how many transactions the wallet has, {len(counts)} did.",
        )
    return counts
