"""Fixtures of the treasury's tests."""

import pytest

import kit.db.engines
from kit.db import drivers
from kit.db.database import Database
from tests.support.treasury_world import TreasuryWorld


@pytest.fixture(autouse=True)
def patient_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a statement take a minute: a virtual machine that stands still for seconds is no fault of what is tested here."""
    monkeypatch.setattr(drivers, "SESSION_LIMITS", "SET lock_timeout = 30000; SET statement_timeout = 60000")
    monkeypatch.setattr(kit.db.engines, "COMMAND_SECONDS", 75.0)


@pytest.fixture
def world(database: Database) -> TreasuryWorld:
    return TreasuryWorld(database)
