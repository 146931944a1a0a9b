"""How a node stands, for people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from chain.node.cooldown import State
from chain.node.node import Node

Health = Literal[
    "alive", "lagging", "set aside", "cooling down", "unreachable", "wrong chain", "out of budget", "untested"
]
LAGGING_BLOCKS = 3
"""Behind the best node by more than this: eleven seconds on Mezo."""
UNREACHABLE_AFTER = 3
"""Failures in a row after which a node does not merely rest."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How a node stands, for people: names and numbers, no URL."""

    name: str
    provider: str
    spectrum: bool
    state: State
    head: int | None
    quarantined: bool
    contradicts: tuple[str, ...]
    """The methods in which it said otherwise than the others, and has not taken it back."""
    last_error: str | None
    health: Health
    lag: int | None
    """Blocks behind the best node."""
    p50: float | None
    """Seconds; the median of its newest answers."""
    p95: float | None
    requests: int
    errors: Mapping[str, int]
    """By kind, since the start."""
    credits_used: int
    """This month; an estimate."""
    credits_left: int | None
    holds_from: int | None
    """The earliest block it has shown; None where it was not asked."""
    pruned_to: int | None
    """The newest block it was asked for and did not have."""

    @property
    def kind(self) -> str:
        """Who is asked first, and whom everybody may ask."""
        return "Spectrum" if self.spectrum else "public"

    @property
    def milliseconds(self) -> str:
        """p50 / p95."""
        return " / ".join("-" if one is None else f"{one * 1000:.0f}" for one in (self.p50, self.p95))

    @property
    def went_wrong(self) -> str:
        """Errors by kind, in words."""
        return ", ".join(f"{kind} {count}" for kind, count in sorted(self.errors.items())) or "none"


def answering_providers(nodes: Iterable[Node]) -> frozenset[str]:
    """The providers that answer, as far as they were last asked, and whose word counts.

    Heads are remembered after their nodes have gone, so they do not tell.
    """
    return frozenset(node.provider for node in nodes if node.state == "ok" and not node.quarantined)


def heads_of(nodes: Iterable[Node]) -> dict[str, int]:
    """The newest block that each provider has told of, without nodes on another chain."""
    heads: dict[str, int] = {}
    for node in nodes:
        if node.head is not None and not node.wrong_chain:
            heads[node.provider] = max(node.head, heads.get(node.provider, -1))
    return heads


def health_of(node: Node, best: int | None) -> Health:
    """In an operator's words; `best` is the newest block of any node."""
    state = node.state
    if state == "wrong_chain":
        return "wrong chain"
    if not node.budget.allows(vital=True):
        return "out of budget"
    if node.cooldown.failures >= UNREACHABLE_AFTER and state != "rate_limited":
        return "unreachable"
    # Still so when its rest is over: until it is asked again nothing better is known of it.
    if state in {"cooling", "rate_limited"} or node.cooldown.failures:
        return "cooling down"
    if node.quarantined:
        return "set aside"
    if node.head is not None and best is not None and best - node.head > LAGGING_BLOCKS:
        return "lagging"
    return "alive" if state == "ok" else "untested"


def status_of(node: Node, best: int | None) -> NodeStatus:
    """How a node stands now; `best` is the newest block of any node."""
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
