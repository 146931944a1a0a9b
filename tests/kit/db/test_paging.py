"""Keyset paging and its cursors."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa

from kit.db.database import Database
from kit.db.inserts import insert_or_ignore
from kit.db.paging import (
    Position,
    decode_number,
    decode_position,
    encode_number,
    encode_position,
    newest_first,
    next_cursor,
)
from onramp.webhooks.table import inbox

NOW = datetime(2026, 11, 21, 3, 20, 5, 123456, tzinfo=UTC)


class Row(NamedTuple):
    created_at: datetime
    id: str


def test_a_cursor_returns_the_position_and_number_that_it_was_made_of() -> None:
    assert decode_position(encode_position(Position(NOW, "pay_é"))) == Position(NOW, "pay_é")
    assert decode_number(encode_number(2**62)) == 2**62


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "ons_4k",
        "1732159205123456.pay_1",
        "17",
        "nonsense",
        "é",
        "W10",
        "A" * 4000,
        encode_number(0),
        encode_number(-1),
    ],
)
def test_anything_else_and_cursors_of_earlier_formats_are_refused(cursor: str) -> None:
    for decode in (decode_position, decode_number):
        with pytest.raises(ValueError, match="not a valid cursor; pass nextCursor unchanged"):
            decode(cursor)


def test_a_cursor_of_another_kind_of_list_is_refused() -> None:
    with pytest.raises(ValueError, match="not a valid cursor"):
        decode_position(encode_number(5))
    with pytest.raises(ValueError, match="not a valid cursor"):
        decode_number(encode_position(Position(NOW, "a")))


def test_the_last_page_has_no_cursor() -> None:
    rows = [Row(NOW, name) for name in "abc"]
    assert next_cursor(rows, 3) is None
    assert next_cursor(rows, 2) == encode_position(Position(NOW, "b"))


async def test_every_row_is_on_one_page_newest_first_and_by_id_within_a_moment(database: Database) -> None:
    def row(number: int) -> dict[str, Any]:
        at = NOW + timedelta(seconds=number // 3)
        return {
            "id": f"evt_{number}", "type": "t", "stripe_session_id": "cos_1", "session_status": None, "body_sha256": "0" * 64,
            "created_at": at, "received_at": at, "state": "pending", "reason": None, "due_at": at,
        }  # fmt: skip

    seen: list[str] = []
    before: Position | None = None
    async with database.write() as conn:
        await insert_or_ignore(conn, inbox, [row(number) for number in range(8)], ["id"])
        for _ in range(4):
            query = newest_first(sa.select(inbox), inbox.c.received_at, inbox.c.id, before).limit(3)
            rows = (await conn.execute(query)).fetchall()
            seen += [found.id for found in rows]
            if rows:
                before = Position(rows[-1].received_at, rows[-1].id)
    assert seen == ["evt_7", "evt_6", "evt_5", "evt_4", "evt_3", "evt_2", "evt_1", "evt_0"]
