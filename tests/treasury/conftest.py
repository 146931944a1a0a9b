"""A sender with everything around it."""

import pytest

from kit.db.database import Database
from tests.treasury.world import World


@pytest.fixture
def world(database: Database) -> World:
    return World(database)
