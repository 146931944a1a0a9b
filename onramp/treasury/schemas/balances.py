"""Response models of the hot wallet's balances."""

from kit.http.documents import Document
from kit.money import format_units
from onramp.treasury.schemas.ledger import AccountsResponse
from treasury.core.asset_policy import AssetPolicy
from treasury.core.available import Available


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
