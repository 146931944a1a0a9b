"""The restored database of the checklist's tests."""

from collections.abc import AsyncIterator

import pytest

from kit.db.database import Database
from tests.support.restored_database import Restored, restored_database


@pytest.fixture
async def restored(database: Database) -> AsyncIterator[Restored]:
    async with restored_database(database) as restored:
        yield restored
