"""Another hot wallet in the settings: nothing starts while the one before has something to finish."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from onramp.core import StartError
from tests.onramp.conftest import HOT_WALLET, Ahead, Start, replica
from treasury.payouts.table import payouts
from treasury.status import Status

BEFORE = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"


def owed(number: int, status: Status, wallet: str = BEFORE) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "id": f"pay_{number}", "session_id": f"ons_{number}", "stripe_session_id": "cos_1", "wallet": wallet, "asset": "MUSD",
        "token": BEFORE, "to_address": BEFORE, "amount": 1, "reference": f"0x{number:064x}", "status": status,
        "created_at": now, "updated_at": now,
    }  # fmt: skip


async def test_nothing_starts_while_another_wallet_has_something_to_finish(start: Start, sqlite_url: str) -> None:
    service = await start()
    over = [Status.FINAL, Status.CANCELLED, Status.REJECTED, Status.REVERTED]
    rows = [owed(number, status) for number, status in enumerate(over)]
    rows += [owed(10, Status.HELD), owed(11, Status.BROADCAST), owed(12, Status.HELD, HOT_WALLET)]
    async with service.database.write() as connection:
        await connection.execute(sa.insert(payouts), rows)
    with pytest.raises(StartError) as refused:
        async with replica(sqlite_url, service, Ahead(), ()):
            pytest.fail("it started")
    said = str(refused.value)
    assert f"pay_10 of {BEFORE}: held" in said
    assert f"pay_11 of {BEFORE}: broadcast" in said
    assert said.count("pay_") == 2
    async with service.database.write() as connection:
        await connection.execute(sa.update(payouts).values(status=Status.FINAL))
    async with replica(sqlite_url, service, Ahead(), ()):
        pass
