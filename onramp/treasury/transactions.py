"""The hot wallet's transactions over HTTP."""

from aiohttp import web

from kit.http.documents import reply
from kit.http.problems import not_found
from kit.http.routing import Route
from onramp.treasury.common import BASE, id_of
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.schemas import transactions as schemas
from treasury.core import history
from treasury.core.assets import MUSD_DECIMALS
from treasury.sweeps import service as sweeps_service
from treasury.transactions import queries


async def read_transaction(request: web.Request) -> web.StreamResponse:
    """Return one transaction with each of its signatures and its history."""
    async with request.app[TREASURY].database.read() as conn:
        row = await queries.get(conn, id_of(request, "transaction"))
        if row is None:
            raise not_found("transaction")
        sweep = await sweeps_service.get(conn, row.operation_id)
        decimals = MUSD_DECIMALS if sweep is None else sweep.decimals
        return reply(schemas.transaction(row, await history.of(conn, row.id), decimals))


ROUTES = (
    Route(
        "GET",
        BASE + "/transactions/{id}",
        read_transaction,
        access="viewer",
        summary="One transaction: its nonce, each of its signatures, its history.",
        name="read_transaction",
        response=schemas.TransactionResponse,
    ),
)
