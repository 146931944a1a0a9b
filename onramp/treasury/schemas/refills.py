"""Request and response models of refills."""

from typing import Any

from pydantic import Field

from kit.http.documents import Document
from onramp.treasury.schemas.common import Amount
from treasury.policy.parser import SYMBOL


class RefillQuery(Document):
    """The transfer that the hot wallet shall receive: asset and amount."""

    asset: str = Field(pattern=f"^{SYMBOL}$")
    amount: Amount = Field(description="Decimal text.")


class RefillResponse(Document):
    """A prepared refill. `file` is for the Safe's Transaction Builder; each signer compares `sheet` with the Ledger's screen."""

    file: dict[str, Any]
    sheet: dict[str, str]
    owners: list[str]
    threshold: int
    holds: str = Field(
        description="The Safe's balance of the asset; if it is less than the amount, the transfer fails."
    )
