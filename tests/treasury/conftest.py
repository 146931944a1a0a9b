"""Fixtures of the treasury's tests."""

import pytest

import kit.db.engines
from chain.payonce import ADDRESS
from kit.db import drivers
from kit.db.database import Database
from tests.support.treasury_world import TreasuryWorld


@pytest.fixture(autouse=True)
def patient_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a statement take a minute: a virtual machine that stands still for seconds is no fault of what is tested here."""
    monkeypatch.setattr(drivers, "SESSION_LIMITS", "SET lock_timeout = 30000; SET statement_timeout = 60000")
    monkeypatch.setattr(kit.db.engines, "COMMAND_SECONDS", 75.0)


@pytest.fixture
def payout_contract() -> str | None:
    """The contract that payouts are paid through; None: each is a transfer of its own. Tests marked `both_ways` run with either."""
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "payout_contract" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_ways"):
        metafunc.parametrize("payout_contract", [None, ADDRESS], ids=["transfers", "contract"])


@pytest.fixture
def world(database: Database, payout_contract: str | None) -> TreasuryWorld:
    made = TreasuryWorld(database)
    made.contract = payout_contract
    return made
