"""Balances in the past follow from the ledger, and the runway from what was spent in a day."""

from datetime import UTC, datetime, timedelta

from kit.db.database import Database
from treasury.ledger import past
from treasury.ledger import service as ledger_service
from treasury.ledger.model import Movement
from treasury.ledger.states import Account

START = datetime(2026, 11, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)
WALLET = "0x" + "11" * 20
MUSD = 10**18


async def post(
    database: Database, at: datetime, source: Account, target: Account, amount: int, asset: str = "MUSD"
) -> None:
    movement = Movement(
        wallet=WALLET, asset=asset, kind="top_up", subject=WALLET, source=source, target=target, amount=amount, at=at
    )
    async with database.write() as conn:
        await ledger_service.adjust(conn, movement)


async def fill(database: Database) -> None:
    """100 MUSD arrive at 02:00; 30 are held at 04:30, signed at 05:00 and paid out at 06:00. Another asset moves, too."""
    await post(database, START + 2 * HOUR, Account.EXTERNAL_IN, Account.AVAILABLE, 100 * MUSD)
    await post(database, START + 4.5 * HOUR, Account.AVAILABLE, Account.HELD, 30 * MUSD)
    await post(database, START + 5 * HOUR, Account.HELD, Account.IN_FLIGHT, 30 * MUSD)
    await post(database, START + 6 * HOUR, Account.IN_FLIGHT, Account.PAID_OUT, 30 * MUSD)
    await post(database, START + 5 * HOUR, Account.EXTERNAL_IN, Account.AVAILABLE, 7, asset="BTC")


async def shown(database: Database, since: datetime, until: datetime, count: int) -> list[tuple[int, int, int]]:
    async with database.read() as conn:
        rows = await past.points(conn, WALLET, "MUSD", since=since, until=until, count=count)
    return [((row.at - START) // HOUR, row.available // MUSD, row.held // MUSD) for row in rows]


async def test_each_point_shows_what_was_there_at_that_time(database: Database) -> None:
    await fill(database)
    # A posting belongs to the interval that begins with it.
    expected = [(3, 100, 0), (4, 100, 0), (5, 70, 30), (6, 70, 30), (7, 70, 0), (8, 70, 0)]
    assert await shown(database, START, START + 8 * HOUR, 8) == expected
    assert await shown(database, START + 5 * HOUR, START + 6 * HOUR, 1) == [(5, 70, 30), (6, 70, 30)], (
        "later postings are undone"
    )


async def test_a_range_after_or_before_everything_is_flat(database: Database) -> None:
    await fill(database)
    assert await shown(database, START + 50 * HOUR, START + 52 * HOUR, 2) == [(50, 70, 0), (51, 70, 0), (52, 70, 0)]
    assert await shown(database, START - 2 * HOUR, START - HOUR, 1) == [(-1, 0, 0)]


async def test_the_runway_is_what_is_available_at_the_pace_of_a_day(database: Database) -> None:
    await fill(database)
    async with database.read() as conn:
        assert await past.runway_hours(conn, WALLET, "MUSD", START + 7 * HOUR) == 56, "70 MUSD at 30 a day"
        assert await past.runway_hours(conn, WALLET, "MUSD", START + 40 * HOUR) is None
        assert await past.runway_hours(conn, WALLET, "BTC", START + 7 * HOUR) is None
    await post(database, START + 6.5 * HOUR, Account.PAID_OUT, Account.AVAILABLE, 30 * MUSD)
    async with database.read() as conn:
        assert await past.runway_hours(conn, WALLET, "MUSD", START + 7 * HOUR) is None, "the payment was undone"
