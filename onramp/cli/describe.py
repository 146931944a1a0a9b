"""One purchase with everything stored about it, for an operator who looks into a problem."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import rfc3339
from kit.money import format_units
from onramp.cli.output import print_pairs, print_table
from onramp.operator_views.timeline import timeline
from onramp.sessions import schemas
from onramp.sessions.model import Session
from onramp.webhooks import service as webhooks_service
from treasury.core.assets import MUSD_DECIMALS
from treasury.payouts import queue
from treasury.payouts import service as payouts_service


async def describe(conn: AsyncConnection, session: Session) -> dict[str, Any]:
    """Return the session as the API does, with `events`, `payout`, `attention` and `timeline` added."""
    described = schemas.session_response(session, None).model_dump(mode="json", by_alias=True)
    described["attention"] = session.attention
    events = await webhooks_service.of_session(conn, session.stripe_session_id) if session.stripe_session_id else []
    described["events"] = [
        {
            "id": row.id,
            "state": row.state,
            "sessionStatus": row.session_status,
            "receivedAt": rfc3339(row.received_at),
            "reason": row.reason,
        }
        for row in events
    ]
    payout = await payouts_service.by_session(conn, session.id)
    if payout is not None:
        payout = (await queue.leadership(conn)).with_reason(payout)
    described["payout"] = (
        None
        if payout is None
        else {
            "id": payout.id,
            "status": payout.status,
            "reason": payout.reason,
            "amount": format_units(payout.amount, MUSD_DECIMALS),
            "to": payout.to,
            "transactionId": payout.transaction_id,
            "txHash": payout.tx_hash,
        }
    )
    described["timeline"] = await timeline(conn, session, payout, events)
    return described


def print_description(described: dict[str, Any]) -> None:
    """Print what `describe` returned, for people."""
    payment, delivery, payout = described["payment"], described["delivery"], described["payout"]
    currency = payment["destinationCurrency"].upper()
    print_pairs(
        [
            ("status", described["status"]),
            ("attention", described["attention"]),
            ("wallet", described["walletAddress"]),
            ("amount", f"{described['sourceAmount']} {described['sourceCurrency']}"),
            ("payment", payment["status"]),
            ("destination", f"{payment['destinationAmount']} {currency}" if payment["destinationAmount"] else None),
            ("stripe", payment["stripeSessionId"]),
            ("delivery", f"{delivery['status']} {delivery['reason'] or ''}".strip()),
            ("expected", f"{delivery['expectedAmount']} MUSD" if delivery["expectedAmount"] else None),
            ("transaction", delivery["txHash"]),
            ("payout", f"{payout['id']} {payout['status']} {payout['reason'] or ''}".strip() if payout else None),
            ("created", described["createdAt"]),
        ],
        title=described["id"],
    )
    print_table(
        ("event", "session status", "state", "received"),
        [(item["id"], item["sessionStatus"], item["state"], item["receivedAt"]) for item in described["events"]],
        empty="No events are stored for it.",
    )
    print_table(
        ("time", "what happened", "detail"),
        [(item["at"], item["event"], item["detail"] or "") for item in described["timeline"]],
        empty="Nothing happened yet.",
    )
