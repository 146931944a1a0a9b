"""The health of a node, for people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from chain.node.cooldown import State
from chain.node.node import Node

Health = Literal[
    "alive", "lagging", "set aside", "cooling down", "unreachable", "wrong chain", "out of budget", "untested"
]
LAGGING_BLOCKS = 3
"""Blocks behind the best node before a node counts as lagging: eleven seconds on Mezo."""
UNREACHABLE_AFTER = 3
"""Consecutive failures after which a node counts as unreachable instead of cooling down."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The health of one node: names and numbers, no URL."""

    name: str
    provider: str
    spectrum: bool
    state: State
    head: int | None
    quarantined: bool
    contradicts: tuple[str, ...]
    """The JSON-RPC methods in which the node contradicts agreed answers."""
    last_error: str | None
    health: Health
    lag: int | None
    """How many blocks the node is behind the best one; None if either has reported none."""
    p50: float | None
    """The median duration of the node's newest answers, in seconds."""
    p95: float | None
    requests: int
    errors: Mapping[str, int]
    """The number of errors by kind, since the process started."""
    credits_used: int
    """The credits that the node used this month; an estimate."""
    credits_left: int | None
    holds_from: int | None
    """The earliest block that the node was proven to have; None if there is no proof."""
    pruned_to: int | None
    """The newest block that the node was proven to lack; None if it was never proven to lack one."""

    @property
    def kind(self) -> str:
        """`Spectrum` for private nodes, which are asked first; `public` for the others."""
        return "Spectrum" if self.spectrum else "public"

    @property
    def milliseconds(self) -> str:
        """The latencies p50 and p95 in milliseconds as text, such as `80 / 210`; `-` for an unknown one."""
        return " / ".join("-" if seconds is None else f"{seconds * 1000:.0f}" for seconds in (self.p50, self.p95))

    @property
    def went_wrong(self) -> str:
        """The errors by kind as text, such as `timeout 2`; `none` without errors."""
        return ", ".join(f"{kind} {count}" for kind, count in sorted(self.errors.items())) or "none"


def answering_providers(nodes: Iterable[Node]) -> frozenset[str]:
    """Return the providers that have a verified node outside cooldown and quarantine, whose votes therefore count.

    Heads would not show this: they are kept after their nodes have become unreachable.
    """
    return frozenset(node.provider for node in nodes if node.state == "ok" and not node.quarantined)


def heads_of(nodes: Iterable[Node]) -> dict[str, int]:
    """Return the newest block that each provider has reported, without nodes on another chain."""
    heads: dict[str, int] = {}
    for node in nodes:
        if node.head is not None and not node.wrong_chain:
            heads[node.provider] = max(node.head, heads.get(node.provider, -1))
    return heads


def health_of(node: Node, best: int | None) -> Health:
    """Return the health of a node as a word for people; `best` is the newest block of any node."""
    state = node.state
    if state == "wrong_chain":
        return "wrong chain"
    if not node.budget.allows(vital=True):
        return "out of budget"
    if node.cooldown.failures >= UNREACHABLE_AFTER and state != "rate_limited":
        return "unreachable"
    # Also after the cooldown: until the next call nothing better is known.
    if state in {"cooling", "rate_limited"} or node.cooldown.failures:
        return "cooling down"
    if node.quarantined:
        return "set aside"
    if node.head is not None and best is not None and best - node.head > LAGGING_BLOCKS:
        return "lagging"
    return "alive" if state == "ok" else "untested"


def status_of(node: Node, best: int | None) -> NodeStatus:
    """Return the current status of a node; `best` is the newest block of any node."""
    return NodeStatus(
        name=node.name,
        provider=node.provider,
        spectrum=node.spectrum,
        state=node.state,
        head=node.head,
        quarantined=node.quarantined,
        contradicts=node.disagreements.methods,
        last_error=node.cooldown.last_error,
        health=health_of(node, best),
        lag=max(best - node.head, 0) if best is not None and node.head is not None else None,
        p50=node.latency.percentile(50),
        p95=node.latency.percentile(95),
        requests=node.requests,
        errors=dict(node.errors),
        credits_used=node.budget.used,
        credits_left=node.budget.left,
        holds_from=node.retention.holds_from,
        pruned_to=node.retention.pruned_to,
    )
