"""What persons say of the books, over HTTP: USDC that arrived, coins and transactions that no row explains."""

from typing import Any, Self

from aiohttp import web
from pydantic import Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.auth import Principal
from kit.http.routes import Document, Route, body_of, reply
from kit.money import format_units, parse_units
from kit.problems import Problem
from onramp.services import SERVICES, Services
from onramp.treasury_api import ledger_shapes as shapes
from onramp.treasury_api.ledger import wallet_of
from onramp.treasury_api.order_shapes import Note, UsdcAmount
from onramp.treasury_api.ordering import Told, carry_out
from onramp.treasury_api.routes import BASE
from treasury import rotation
from treasury.answers import service as answers
from treasury.assets import MUSD_DECIMALS, USDC_DECIMALS
from treasury.ledger import usdc


class SettleUsdcOrder(Note):
    """USDC that a person has seen arrive in one transaction: of one session, or the oldest first up to an amount."""

    tx_hash: str = Field(pattern="^0x[0-9a-fA-F]{64}$", description="Where it arrived, on Stripe's network.")
    session_id: str | None = Field(default=None, pattern="^ons_[A-Za-z0-9]{1,60}$")
    amount: UsdcAmount | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.session_id is None) == (self.amount is None):
            message = "give sessionId or amount, and not both"
            raise ValueError(message)
        return self


class SettledUsdc(Document):
    """What the transaction cleared, and what is still to come."""

    data: list[shapes.PostingAnswer]
    receivable: str
    next_cursor: str | None = None


class AnswerOrder(Document):
    """An alarm, and what a person knows of it."""

    subject: str = Field(
        pattern="^[A-Za-z0-9_.]{1,64}$", description="An asset whose coins are gone, or the id of a transaction."
    )
    note: str = Field(min_length=1, max_length=500, description="Where they went; kept in ledger and audit trail.")


class AnswerAnswer(Document):
    """`asked` until another person says so, too; `amount` is null for a transaction."""

    subject: str
    status: str
    amount: str | None
    asked_by: str
    answered_by: str | None
    note: str


async def settle_usdc(request: web.Request) -> web.StreamResponse:
    """Clear what is receivable; the same transaction again answers what it cleared."""
    order = body_of(request, SettleUsdcOrder)
    _, wallet = wallet_of(request.app[SERVICES])
    tx_hash = order.tx_hash.lower()

    async def work(conn: AsyncConnection, services: Services, who: Principal) -> tuple[SettledUsdc, list[Told]]:
        wallets = [wallet, *await rotation.earlier_wallets(conn, wallet)]
        before = await usdc.receivable(conn, wallets)
        cleared = await usdc.settle(
            conn,
            wallets=wallets,
            tx_hash=tx_hash,
            by=who.id,
            now=services.clock.now(),
            session_id=order.session_id,
            amount=None if order.amount is None else parse_units(order.amount, USDC_DECIMALS),
        )
        if order.session_id not in {None, *(row.subject for row in cleared)}:
            raise Problem(409, "not_possible", "That transaction cleared other sessions already; nothing was posted.")
        after = await usdc.receivable(conn, wallets)
        was, left = (sum(one.amount for one in rows) for rows in (before, after))
        answer = SettledUsdc(
            data=[shapes.posting(row, USDC_DECIMALS) for row in cleared], receivable=format_units(left, USDC_DECIMALS)
        )
        facts = {"receivable": str(left), "sessions": [row.subject for row in cleared], "note": order.note}
        return answer, [Told(tx_hash, {"receivable": str(was)}, facts)] if was != left else []

    return reply(await carry_out(request, "settle_usdc", tx_hash, work))


async def answer(request: web.Request) -> web.StreamResponse:
    """Take responsibility; the second person who does closes the alarm."""
    order = body_of(request, AnswerOrder)
    chain_id, wallet = wallet_of(request.app[SERVICES])

    async def work(conn: AsyncConnection, services: Services, who: Principal) -> tuple[AnswerAnswer, list[Told]]:
        places = MUSD_DECIMALS if services.policy is None else (await services.policy.decimals(conn)).get(order.subject)
        now = services.clock.now()
        made = await answers.answer(
            conn, chain_id, wallet, order.subject, by=who.id, person=who.person, note=order.note, now=now
        )
        shown = AnswerAnswer(
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
    Route("POST", BASE + "/settle-usdc", settle_usdc, "operator",
          "Clear USDC that arrived, of one session or the oldest first.", "settle_usdc", body=SettleUsdcOrder,
          answer=SettledUsdc, also={409: "`insufficient_available`: less is receivable; `not_possible`."}),
    Route("POST", BASE + "/answer", answer, "approver",
          "Say where coins went, or whose a transaction is; two persons close the alarm.", "answer", body=AnswerOrder,
          answer=AnswerAnswer, also={404: "No such transaction.", 409: "`self_approval`, or `not_possible`."}),
)  # fmt: skip
