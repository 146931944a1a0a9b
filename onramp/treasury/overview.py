"""What viewers see of the treasury."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from kit.http.documents import reply
from kit.http.parsing import query_of
from kit.http.problems import not_found
from kit.http.routing import Route
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.earlier_wallets import earlier
from onramp.treasury.schemas import overview
from treasury import balances
from treasury.core import history
from treasury.core.asset_policy import AssetPolicy
from treasury.core.assets import GAS_ASSET, MUSD_DECIMALS
from treasury.payouts import queue
from treasury.payouts import service as payouts_service
from treasury.sweeps import service as sweeps_service
from treasury.transactions import queries

MAX_ID = 64


def id_of(request: web.Request, what: str) -> str:
    """The id in the path. Raises Problem `not_found` for one that cannot be ours."""
    row_id = request.match_info["id"]
    if len(row_id) > MAX_ID:
        raise not_found(what)
    return row_id


def gas_last(assets: list[AssetPolicy]) -> list[AssetPolicy]:
    """What is paid out first, the gas token last."""
    return sorted(assets, key=lambda asset: (asset.symbol == GAS_ASSET, asset.symbol))


async def list_balances(request: web.Request) -> web.StreamResponse:
    """The hot wallet; no assets where this service pays nobody."""
    services = request.app[TREASURY]
    wallet, policy = services.rules.hot_wallet, services.policy
    if wallet is None or policy is None:
        return reply(overview.BalanceList(data=[], earlier=[], next_cursor=None))
    async with services.database.read() as conn:
        found = [
            overview.balance(asset, await balances.available(conn, wallet, asset.symbol))
            for asset in gas_last(await policy.assets(conn))
        ]
        left = await earlier(conn, services)
    return reply(overview.BalanceList(data=found, earlier=left, next_cursor=None))


async def _page(
    request: web.Request, read: Callable[..., Awaitable[list[Any]]], shape: Callable[..., BaseModel]
) -> dict[str, Any]:
    """The rows that the query asks for with their histories, the newest first, and where the next page begins."""
    query = query_of(request, overview.PageQuery)
    async with request.app[TREASURY].database.read_replica() as conn:
        found = await read(conn, limit=query.limit + 1, status=query.status, before=query.before)
        page = found[: query.limit]
        told = await history.of_many(conn, [row.id for row in page])
    return {
        "data": [shape(row, told[row.id]) for row in page],
        "next_cursor": overview.next_cursor(found, query.limit),
    }


async def list_payouts(request: web.Request) -> web.StreamResponse:
    """The newest first."""
    return reply(overview.PayoutPage(**await _page(request, queue.page, overview.payout)))


async def read_payout(request: web.Request) -> web.StreamResponse:
    """One payout with its history."""
    async with request.app[TREASURY].database.read() as conn:
        row = await payouts_service.get(conn, id_of(request, "payout"))
        if row is None:
            raise not_found("payout")
        row = (await queue.leadership(conn)).with_reason(row)
        return reply(overview.payout(row, await history.of(conn, row.id)))


async def list_sweeps(request: web.Request) -> web.StreamResponse:
    """The newest first."""
    return reply(overview.SweepPage(**await _page(request, sweeps_service.page, overview.sweep)))


async def read_sweep(request: web.Request) -> web.StreamResponse:
    """One sweep with its history."""
    async with request.app[TREASURY].database.read() as conn:
        row = await sweeps_service.require(conn, id_of(request, "sweep"))
        return reply(overview.sweep(row, await history.of(conn, row.id)))


async def read_transaction(request: web.Request) -> web.StreamResponse:
    """One transaction with every signature made for it, and its history."""
    async with request.app[TREASURY].database.read() as conn:
        row = await queries.get(conn, id_of(request, "transaction"))
        if row is None:
            raise not_found("transaction")
        sweep = await sweeps_service.get(conn, row.operation_id)
        decimals = MUSD_DECIMALS if sweep is None else sweep.decimals
        return reply(overview.transaction(row, await history.of(conn, row.id), decimals))


BASE = "/api/v1/treasury"
ROUTES = (
    Route(
        "GET",
        BASE + "/balances",
        list_balances,
        access="viewer",
        summary="What the hot wallet holds, and what of it is free.",
        name="balances",
        response=overview.BalanceList,
    ),
    Route(
        "GET",
        BASE + "/payouts",
        list_payouts,
        access="viewer",
        summary="What buyers are owed, the newest first.",
        name="list_payouts",
        query=overview.PageQuery,
        response=overview.PayoutPage,
    ),
    Route(
        "GET",
        BASE + "/payouts/{id}",
        read_payout,
        access="viewer",
        summary="One payout with its history.",
        name="read_payout",
        response=overview.PayoutResponse,
    ),
    Route(
        "GET",
        BASE + "/sweeps",
        list_sweeps,
        access="viewer",
        summary="What goes to the cold wallet, the newest first.",
        name="list_sweeps",
        query=overview.PageQuery,
        response=overview.SweepPage,
    ),
    Route(
        "GET",
        BASE + "/sweeps/{id}",
        read_sweep,
        access="viewer",
        summary="One sweep with its history.",
        name="read_sweep",
        response=overview.SweepResponse,
    ),
    Route(
        "GET",
        BASE + "/transactions/{id}",
        read_transaction,
        access="viewer",
        summary="One transaction: its nonce, every signature made for it, its history.",
        name="read_transaction",
        response=overview.TransactionResponse,
    ),
)
