"""Fixtures of the treasury's tests."""

import pytest

from kit.db.database import Database
from tests.support.treasury_world import TreasuryWorld


@pytest.fixture
def world(database: Database) -> TreasuryWorld:
    return TreasuryWorld(database)
