"""The hot wallet's balances over HTTP."""

from aiohttp import web

from kit.http.documents import reply
from kit.http.routing import Route
from onramp.treasury.common import BASE, gas_last
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.earlier_wallets import earlier_accounts
from onramp.treasury.schemas import balances as schemas
from treasury import balances as balances_service


async def list_balances(request: web.Request) -> web.StreamResponse:
    """Return the hot wallet's balance of each asset; an empty list if this service pays from no wallet."""
    services = request.app[TREASURY]
    wallet, policy = services.rules.hot_wallet, services.policy
    if wallet is None or policy is None:
        return reply(schemas.BalanceList(data=[], earlier=[], next_cursor=None))
    async with services.database.read() as conn:
        balances = [
            schemas.balance(asset, await balances_service.available(conn, wallet, asset.symbol))
            for asset in gas_last(await policy.assets(conn))
        ]
        earlier = await earlier_accounts(conn, services)
    return reply(schemas.BalanceList(data=balances, earlier=earlier, next_cursor=None))


ROUTES = (
    Route(
        "GET",
        BASE + "/balances",
        list_balances,
        access="viewer",
        summary="What the hot wallet holds, and how much of it is available.",
        name="balances",
        response=schemas.BalanceList,
    ),
)
