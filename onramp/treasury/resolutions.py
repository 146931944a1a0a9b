"""What persons say of the books, over HTTP: USDC that arrived, coins and transactions that no row explains."""

from typing import Any

from aiohttp import web
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.http.documents import Document, reply
from kit.http.parsing import body_of
from kit.http.routing import Route
from kit.money import format_units
from onramp.auth.roles import Principal
from onramp.treasury import settlements
from onramp.treasury.command import Told, carry_out
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from onramp.treasury.ledger import wallet_of
from onramp.treasury.overview import BASE
from treasury.core.assets import MUSD_DECIMALS
from treasury.incidents import service as incidents_service


class ResolutionRequest(Document):
    """An alarm, and what a person knows of it."""

    subject: str = Field(
        pattern="^[A-Za-z0-9_.]{1,64}$", description="An asset whose coins are gone, or the id of a transaction."
    )
    note: str = Field(min_length=1, max_length=500, description="Where they went; kept in ledger and audit trail.")


class ResolutionResponse(Document):
    """`asked` until another person says so, too; `amount` is null for a transaction."""

    subject: str
    status: str
    amount: str | None
    asked_by: str
    answered_by: str | None
    note: str


async def answer(request: web.Request) -> web.StreamResponse:
    """Take responsibility; the second person who does closes the alarm."""
    order = body_of(request, ResolutionRequest)
    wallet = wallet_of(request.app[TREASURY])

    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[ResolutionResponse, list[Told]]:
        places = MUSD_DECIMALS if services.policy is None else (await services.policy.decimals(conn)).get(order.subject)
        now = services.clock.now()
        made = await incidents_service.resolve(
            conn, wallet, order.subject, Actor(who.id, who.person), note=order.note, now=now
        )
        shown = ResolutionResponse(
            subject=made.subject,
            status=made.status,
            amount=None if places is None or not made.amount else format_units(made.amount, places),
            asked_by=made.asked_by,
            answered_by=made.answered_by,
            note=made.note,
        )
        facts: dict[str, Any] = {"status": made.status, "amount": str(made.amount), "askedBy": made.asked_by}
        return shown, [Told(order.subject, None, facts)]

    return reply(await carry_out(request, "answer", order.subject, work))


ROUTES = (
    *settlements.ROUTES,
    Route(
        "POST",
        BASE + "/answer",
        answer,
        access="approver",
        summary="Say where coins went, or whose a transaction is; two persons close the alarm.",
        name="answer",
        body=ResolutionRequest,
        response=ResolutionResponse,
        responses={404: "No such transaction.", 409: "`self_approval`, or `not_possible`."},
    ),
)
