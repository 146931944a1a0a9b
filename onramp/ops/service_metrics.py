"""Metrics about the process itself: what it runs, and what it promises."""

from prometheus_client import CollectorRegistry, Gauge

from onramp import __version__
from onramp.ops.objectives import OBJECTIVES


def show_build(registry: CollectorRegistry, *, mode: str, chain_id: int, environment: str, revision: str) -> None:
    """Declare `onramp_build_info`, which is always 1, and `onramp_slo_target`. `revision` is empty if nobody knows the commit."""
    build = Gauge(
        "onramp_build_info",
        "Always 1; the labels name the version, its commit (empty outside an image) and what it is configured for.",
        ("version", "revision", "mode", "chain_id", "environment"),
        registry=registry,
    )
    build.labels(__version__, revision, mode, str(chain_id), environment).set(1)
    target = Gauge(
        "onramp_slo_target",
        "Share of good events in 30 days. Every process shows the same: read it with max.",
        ("slo",),
        registry=registry,
    )
    for objective in OBJECTIVES:
        target.labels(objective.slo).set(objective.target)
