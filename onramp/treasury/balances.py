"""The hot wallet's balances over HTTP."""

from datetime import timedelta
from typing import Final

from aiohttp import web

from kit.http.documents import reply
from kit.http.moments import parse_moment
from kit.http.parsing import query_of
from kit.http.problems import FieldError, invalid, not_found
from kit.http.routing import Route
from onramp.treasury.common import BASE, gas_last
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.earlier_wallets import earlier_accounts
from onramp.treasury.schemas import balances as schemas
from treasury import balances as balances_service
from treasury.ledger import past

POINTS: Final = 200
DEFAULT_RANGE: Final = timedelta(days=7)
MIN_RANGE: Final = timedelta(minutes=1)
MAX_RANGE: Final = timedelta(days=3653)


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


async def read_history(request: web.Request) -> web.StreamResponse:
    """Return the balances of one asset over time, and for how many hours they last."""
    services, query = request.app[TREASURY], query_of(request, schemas.BalanceHistoryQuery)
    until = parse_moment(query.to) or services.clock.now()
    since = parse_moment(query.from_) or until - DEFAULT_RANGE
    if not MIN_RANGE <= until - since <= MAX_RANGE:
        raise invalid([FieldError("/from", "must be at least a minute and at most ten years before `to`")])
    wallet, policy = services.rules.hot_wallet, services.policy
    if wallet is None or policy is None:
        raise not_found("asset")
    async with services.database.read() as conn:
        asset = next((asset for asset in await policy.assets(conn) if asset.symbol == query.asset), None)
        if asset is None:
            raise not_found("asset")
        points = await past.points(conn, wallet, asset.symbol, since=since, until=until, count=POINTS)
        runway = await past.runway_hours(conn, wallet, asset.symbol, services.clock.now())
    return reply(schemas.history(asset, points, runway))


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
    Route(
        "GET",
        BASE + "/balances/history",
        read_history,
        access="viewer",
        summary="What the hot wallet held over time, from the ledger, and for how many hours it lasts.",
        name="balance_history",
        query=schemas.BalanceHistoryQuery,
        response=schemas.BalanceHistory,
        responses={404: "The policy has no such asset."},
        codes={404: ("not_found",)},
    ),
)
