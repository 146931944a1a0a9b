"""Helpers that several route modules of the treasury share: the base path, ids in paths, the hot wallet, pages of rows."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from kit.db.paging import next_cursor
from kit.http.parsing import query_of
from kit.http.problems import Problem, not_found
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from onramp.treasury.schemas import common as schemas
from treasury.core import history
from treasury.core.asset_policy import AssetPolicy
from treasury.core.assets import GAS_ASSET
from treasury.core.hot_wallets import HotWallet

BASE: Final = "/api/v1/treasury"
MAX_ID_LENGTH: Final = 64


def id_of(request: web.Request, what: str) -> str:
    """Return the id in the path. Raises Problem `not_found`, naming `what`, if it is longer than any id of this service."""
    row_id = request.match_info["id"]
    if len(row_id) > MAX_ID_LENGTH:
        raise not_found(what)
    return row_id


def wallet_of(services: TreasuryServices) -> HotWallet:
    """Return the hot wallet. Raises Problem `not_possible` if this service pays from none."""
    if services.rules.hot_wallet is None:
        raise Problem(409, "not_possible", "This service pays from no wallet: DELIVERY_MODE is observe.")
    return HotWallet(services.rules.chain_id, services.rules.hot_wallet)


def gas_last(assets: list[AssetPolicy]) -> list[AssetPolicy]:
    """Return the assets sorted by symbol, with the gas token last."""
    return sorted(assets, key=lambda asset: (asset.symbol == GAS_ASSET, asset.symbol))


async def page_with_history(
    request: web.Request, read: Callable[..., Awaitable[list[Any]]], to_response: Callable[..., BaseModel]
) -> dict[str, Any]:
    """Return the fields `data` and `next_cursor` of a page: rows from `read` with their histories, the newest first."""
    query = query_of(request, schemas.PageQuery)
    async with request.app[TREASURY].database.read_replica() as conn:
        rows = await read(conn, limit=query.limit + 1, chosen=query.chosen, before=query.before)
        page = rows[: query.limit]
        histories = await history.of_many(conn, [row.id for row in page])
    return {
        "data": [to_response(row, histories[row.id]) for row in page],
        "next_cursor": next_cursor(rows, query.limit),
    }
