"""Nodes as an operator wants to see them: one word for how each stands, and the numbers behind the word."""

from dataclasses import dataclass
from typing import Literal

from chain.node import NodeStatus
from chain.pool import Pool

Health = Literal["alive", "lagging", "wrong_chain", "cooling_down", "unreachable", "set_aside", "untested"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One node. `p50` and `p95` in seconds, `lag` in blocks behind the best node of our chain."""

    name: str
    operator: str
    node_class: Literal["spectrum", "mezo"]
    health: Health
    head: int | None
    lag: int | None
    p50: float | None
    p95: float | None
    requests: int
    errors: dict[str, int]
    credits: int
    last_error: str | None


def health_of(status: NodeStatus, lag: int | None, behind: int) -> Health:
    """The word for a node; `behind` is how many blocks of lag are still `alive`."""
    if status.state == "wrong_chain":
        return "wrong_chain"
    if status.state == "cooling":
        return "unreachable"
    if status.state == "rate_limited":
        return "cooling_down"
    if status.state == "untested":
        # Its rest is over, and no call has shown yet whether it is back.
        return "cooling_down" if status.last_error else "untested"
    if status.set_aside:
        return "set_aside"
    return "lagging" if lag is not None and lag > behind else "alive"


def standings(pool: Pool, behind: int) -> list[Standing]:
    """Every node, in the order of preference, by what was last asked."""
    # One that lies about its head must not make the honest ones look late.
    best = max(pool.heads().values(), default=None)
    found = []
    for node in pool.nodes:
        status, tally = node.status(), node.tally
        lag = None if status.head is None or best is None else max(best - status.head, 0)
        found.append(
            Standing(
                name=status.name,
                operator=status.operator,
                node_class="spectrum" if status.spectrum else "mezo",
                health=health_of(status, lag, behind),
                head=status.head,
                lag=lag,
                p50=tally.quantile(0.5),
                p95=tally.quantile(0.95),
                requests=tally.requests,
                errors=dict(tally.errors),
                credits=tally.credits,
                last_error=status.last_error,
            )
        )
    return found
