"""The way back over HTTP: what the cold wallet's owners have to sign for the hot wallet to be filled. We sign none of it."""

from typing import Any

from aiohttp import web
from pydantic import Field

from chain.errors import ChainError
from kit.http.documents import Document, reply
from kit.http.parsing import query_of
from kit.http.problems import Problem
from kit.http.routing import Route
from kit.money import format_units, parse_units
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.overview import BASE
from onramp.treasury.schemas.commands import Amount
from treasury.cold.refill import prepare
from treasury.policy.parser import SYMBOL
from treasury.sweeps.proposals import proven


class RefillQuery(Document):
    """What the hot wallet is to get."""

    asset: str = Field(pattern=f"^{SYMBOL}$")
    amount: Amount = Field(description="Decimal text.")


class RefillResponse(Document):
    """`file` is what the Safe's Transaction Builder imports, `sheet` what each signer compares with the Ledger's screen."""

    file: dict[str, Any]
    sheet: dict[str, str]
    owners: list[str]
    threshold: int
    holds: str = Field(
        description="What the Safe has of the asset now; with less than the amount in it the transfer fails."
    )


async def read_refill(request: web.Request) -> web.StreamResponse:
    """Prepare a transfer out of the cold wallet, at the nonce it has now; nothing is written and nothing signed."""
    services, query = request.app[TREASURY], query_of(request, RefillQuery)
    wallet = services.rules.hot_wallet
    if services.orders is None or services.policy is None or wallet is None:
        raise Problem(409, "cold_wallet_unverified", "No cold wallet is pinned, so there is nothing to refill from.")
    async with services.database.read() as conn:
        assets = {one.symbol: one for one in await services.policy.assets(conn)}
    asset = assets.get(query.asset)
    if asset is None:
        raise Problem(
            409, "policy_refused", f"assets: the policy lists {', '.join(sorted(assets))}, not {query.asset}."
        )
    try:
        amount = parse_units(query.amount, asset.decimals)
    except ValueError:
        detail = f"amount: {asset.symbol} has {asset.decimals} decimals."
        raise Problem(409, "policy_refused", detail) from None
    cold = services.orders.cold
    proven(await cold.verify())
    try:
        state, holds = await cold.read(), await cold.balance_of(asset.token)
        refill = prepare(
            cold.pin, state, asset=asset.symbol, token=asset.token, to=wallet, amount=amount, decimals=asset.decimals
        )
    except (ChainError, ValueError) as error:
        raise Problem(
            409, "cold_wallet_unverified", "The cold wallet's nonce and balance could not be read; try again."
        ) from error
    return reply(
        RefillResponse(
            file=refill.file(services.clock.now()),
            sheet=refill.sheet(),
            owners=list(cold.pin.owners),
            threshold=cold.pin.threshold,
            holds=format_units(holds, asset.decimals),
        )
    )


ROUTES = (
    Route(
        "GET",
        BASE + "/refill",
        read_refill,
        access="viewer",
        summary="Prepare what the cold wallet's owners sign for a refill.",
        name="refill",
        query=RefillQuery,
        response=RefillResponse,
        responses={409: "`cold_wallet_unverified`, or `policy_refused` for an asset that the policy does not list."},
    ),
)
