"""The ledger over HTTP."""

from aiohttp import web

from kit.db.paging import encode_number
from kit.http.documents import reply
from kit.http.parsing import query_of
from kit.http.routing import Route
from onramp.treasury.common import BASE
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.earlier_wallets import decimals_of, earlier_accounts
from onramp.treasury.schemas import ledger as schemas
from treasury import wallet_rotation
from treasury.core.assets import USDC, USDC_DECIMALS
from treasury.ledger import service as ledger_service


async def read_ledger(request: web.Request) -> web.StreamResponse:
    """Return the accounts and a page of postings; both are empty if this service pays from no wallet."""
    services, query = request.app[TREASURY], query_of(request, schemas.LedgerQuery)
    wallet, policy = services.rules.hot_wallet, services.policy
    if wallet is None or policy is None:
        return reply(schemas.LedgerPage(accounts=[], earlier=[], data=[], next_cursor=None))
    async with services.database.read() as conn:
        decimals = {**await policy.decimals(conn), USDC: USDC_DECIMALS}
        accounts = [
            schemas.accounts(wallet, asset, await ledger_service.balances(conn, wallet, asset), places)
            for asset, places in decimals.items()
        ]
        earlier = await earlier_accounts(conn, services)
        wallets = [wallet, *await wallet_rotation.earlier_wallets(conn, wallet)]
        postings = await ledger_service.page(conn, wallets, limit=query.limit + 1, before=query.before)
        decimals |= await decimals_of(conn, services, wallets)
    page = postings[: query.limit]
    return reply(
        schemas.LedgerPage(
            accounts=accounts,
            earlier=earlier,
            data=[schemas.posting(row, decimals[row.asset]) for row in page],
            next_cursor=encode_number(page[-1].id) if len(postings) > query.limit else None,
        )
    )


ROUTES = (
    Route(
        "GET",
        BASE + "/ledger",
        read_ledger,
        access="viewer",
        summary="Where every coin is, and the postings that moved it, the newest first.",
        name="ledger",
        query=schemas.LedgerQuery,
        response=schemas.LedgerPage,
    ),
)
