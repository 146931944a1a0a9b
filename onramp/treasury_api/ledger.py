"""The ledger over HTTP."""

from aiohttp import web

from kit.http.routes import Route, query_of, reply
from onramp.services import SERVICES
from onramp.treasury_api import ledger_shapes as shapes
from onramp.treasury_api.routes import BASE
from treasury.ledger import service
from treasury.ledger.service import USDC, USDC_DECIMALS


async def read(request: web.Request) -> web.StreamResponse:
    """Accounts and movements; empty where this service pays from no wallet."""
    services, query = request.app[SERVICES], query_of(request, shapes.LedgerQuery)
    wallet, policy = services.rules.hot_wallet, services.policy
    if wallet is None or policy is None:
        return reply(shapes.LedgerPage(accounts=[], data=[], next_cursor=None))
    async with services.database.read() as conn:
        decimals = {**await policy.decimals(conn), USDC: USDC_DECIMALS}
        held = [
            shapes.accounts(asset, await service.balances(conn, wallet, asset), places)
            for asset, places in decimals.items()
        ]
        found = await service.page(conn, wallet, limit=query.limit + 1, before=query.cursor)
    page = found[: query.limit]
    return reply(
        shapes.LedgerPage(
            accounts=held,
            data=[shapes.posting(row, decimals[row.asset]) for row in page],
            next_cursor=str(page[-1].id) if len(found) > query.limit else None,
        )
    )


ROUTES = (
    Route("GET", BASE + "/ledger", read, "viewer", "Where every coin is, and its movements, the newest first.",
          "ledger", query=shapes.LedgerQuery, answer=shapes.LedgerPage),
)  # fmt: skip
