"""Response models of the hot wallet's balances."""

from typing import Annotated

from pydantic import Field

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.http.moments import Moment
from kit.money import format_units
from onramp.treasury.schemas.ledger import AccountsResponse
from treasury.core.asset_policy import AssetPolicy
from treasury.core.assets import MUSD
from treasury.core.available import Available
from treasury.ledger.past import Point


class BalanceResponse(Document):
    """The balance of one asset of the hot wallet, at the block that enough nodes agreed on; `blockNumber` is null before the first reading."""

    asset: str
    on_chain: str
    held: str
    available: str
    floor: str | None
    target: str | None
    ceiling: str | None
    block_number: int | None


class BalanceList(Document):
    """The balance of every asset; `earlier` holds the ledger's accounts of earlier hot wallets."""

    data: list[BalanceResponse]
    earlier: list[AccountsResponse]
    next_cursor: str | None


class BalanceHistoryQuery(Document):
    """The query of an asset's balances over time."""

    asset: Annotated[str, Field(max_length=16)] = Field(
        default=MUSD, description="An asset of the policy, such as `MUSD` or `BTC`."
    )
    from_: Moment | None = Field(
        default=None, alias="from", description="The first time; by default a week before the last."
    )
    to: Moment | None = Field(default=None, description="The last time; now by default.")


class BalancePoint(Document):
    """The balances at one time, as decimal text in whole coins."""

    at: str
    available: str
    held: str = Field(description="Reserved for buyers and sweeps, or signed and not decided yet.")


class BalanceHistory(Document):
    """The hot wallet's balances of one asset over time, from the ledger, with the asset's limits in the active policy."""

    asset: str
    floor: str | None
    target: str | None
    ceiling: str | None
    points: list[BalancePoint] = Field(
        description="At most 201, at equal intervals; none from before the first posting."
    )
    runway_hours: int | None = Field(
        description="For how many hours the available balance lasts at the pace of the last 24; null if nothing was spent in them."
    )


def history(asset: AssetPolicy, rows: list[Point], runway: int | None) -> BalanceHistory:
    """Return the response for one asset's balances over time."""

    def units(amount: int | None) -> str | None:
        return None if amount is None else format_units(amount, asset.decimals)

    return BalanceHistory(
        asset=asset.symbol,
        floor=units(asset.floor),
        target=units(asset.target),
        ceiling=units(asset.ceiling),
        points=[
            BalancePoint(
                at=rfc3339(row.at),
                available=format_units(row.available, asset.decimals),
                held=format_units(row.held, asset.decimals),
            )
            for row in rows
        ],
        runway_hours=runway,
    )


def balance(asset: AssetPolicy, available: Available) -> BalanceResponse:
    """Return the response for one asset's balance, together with its limits in the policy."""

    def units(amount: int | None) -> str | None:
        return None if amount is None else format_units(amount, asset.decimals)

    return BalanceResponse(
        asset=asset.symbol,
        on_chain=format_units(available.on_chain, asset.decimals),
        held=format_units(available.reserved, asset.decimals),
        available=format_units(available.available, asset.decimals),
        floor=units(asset.floor),
        target=units(asset.target),
        ceiling=units(asset.ceiling),
        block_number=available.block_number,
    )
