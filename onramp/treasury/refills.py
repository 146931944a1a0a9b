"""Refills over HTTP: the transfer that the cold wallet's owners sign to fill the hot wallet. This service signs none of it."""

from aiohttp import web

from chain.errors import ChainError
from kit.http.documents import reply
from kit.http.parsing import query_of
from kit.http.problems import Problem
from kit.http.routing import Route
from kit.money import format_units, parse_units
from onramp.treasury.common import BASE
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.schemas import refills as schemas
from treasury.cold.refill import prepare
from treasury.sweeps.proposals import proven


async def read_refill(request: web.Request) -> web.StreamResponse:
    """Prepare a transfer from the cold wallet, at its current nonce; nothing is written and nothing is signed."""
    services, query = request.app[TREASURY], query_of(request, schemas.RefillQuery)
    wallet = services.rules.hot_wallet
    if services.orders is None or services.policy is None or wallet is None:
        raise Problem(409, "cold_wallet_unverified", "No cold wallet is pinned, so there is nothing to refill from.")
    async with services.database.read() as conn:
        assets = {asset.symbol: asset for asset in await services.policy.assets(conn)}
    asset = assets.get(query.asset)
    if asset is None:
        raise Problem(
            409, "policy_refused", f"assets: the policy lists {', '.join(sorted(assets))}, not {query.asset}."
        )
    try:
        amount = parse_units(query.amount, asset.decimals)
    except ValueError:
        raise Problem(409, "policy_refused", f"amount: {asset.symbol} has {asset.decimals} decimals.") from None
    cold = services.orders.cold
    proven(await cold.verify())
    try:
        state, balance = await cold.read(), await cold.balance_of(asset.token)
        refill = prepare(
            cold.pin, state, asset=asset.symbol, token=asset.token, to=wallet, amount=amount, decimals=asset.decimals
        )
    except (ChainError, ValueError) as error:
        raise Problem(
            409, "cold_wallet_unverified", "The cold wallet's nonce and balance could not be read; try again."
        ) from error
    return reply(
        schemas.RefillResponse(
            file=refill.file(services.clock.now()),
            sheet=refill.sheet(),
            owners=list(cold.pin.owners),
            threshold=cold.pin.threshold,
            holds=format_units(balance, asset.decimals),
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
        query=schemas.RefillQuery,
        response=schemas.RefillResponse,
        responses={409: "`cold_wallet_unverified`, or `policy_refused` for an asset that the policy does not list."},
        codes={409: ("cold_wallet_unverified", "policy_refused")},
    ),
)
