"""Health that is measured several times a second, so that a test need not wait as long as production may."""

import pytest

from kit.heartbeats import service as heartbeats_service
from kit.heartbeats import writer
from onramp.ops import health, readiness_checks


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Store heartbeats and measure health every 0.3 s; a replica is far behind after 1.5 s."""
    monkeypatch.setattr(heartbeats_service, "EVERY_SECONDS", 0.3)
    monkeypatch.setattr(writer, "PROVE_SECONDS", 0.3)
    monkeypatch.setattr(health, "EVERY_SECONDS", 0.3)
    monkeypatch.setattr(readiness_checks, "REPLICA_SECONDS", 1.5)
