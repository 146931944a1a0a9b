"""The timeline names the webhooks about a purchase, and none about another."""

from datetime import timedelta

from kit.db.database import Database
from onramp.hooks import messages as messages_service
from onramp.hooks.event_types import EventType
from onramp.operator_views.timeline import timeline
from onramp.sessions import service as sessions_service
from tests.support.paid_sessions import BUYER, insert_paid_sessions


async def test_webhooks_about_a_purchase_are_in_its_timeline(database: Database) -> None:
    await insert_paid_sessions(database, ("ons_1", BUYER, 5))
    async with database.read() as conn:
        session = await sessions_service.get(conn, "ons_1")
    assert session is not None
    at = session.created_at + timedelta(seconds=2)
    async with database.write() as conn:
        await messages_service.store(
            conn,
            [
                (messages_service.render(EventType.SESSION_DELIVERING, subject, at, {"id": subject}), ["whk_1"])
                for subject in ("ons_1", "ons_2")
            ],
        )
        moments = await timeline(conn, session, None, [])
    assert [moment["event"] for moment in moments] == ["created", "paid", "webhook.pending"]
    assert moments[-1]["detail"] == "session.delivering to whk_1"
