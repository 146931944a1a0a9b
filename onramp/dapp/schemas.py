"""The models of the public configuration's response."""

from typing import Literal

from pydantic import Field

from kit.http.documents import Document


class ChainResponse(Document):
    """The chain on which MUSD is delivered."""

    id: int
    name: str
    explorer_url: str | None
    rpc_urls: list[str] = Field(description="Nodes that a wallet may be given to add the chain: `PUBLIC_RPC_URLS`.")


class TokenResponse(Document):
    """The MUSD token."""

    address: str
    decimals: int


class LimitResponse(Document):
    """The smallest and the largest purchase in a currency, as decimal text."""

    min: str
    max: str


class StripeResponse(Document):
    """The values that a page needs to show Stripe's form."""

    publishable_key: str
    scripts: list[str] = Field(description="URLs of the scripts to load, in this order; Stripe allows no copies.")


class ConfigResponse(Document):
    """The facts about this service that a dApp needs before it sells."""

    environment: Literal["development", "production"]
    chain: ChainResponse
    musd: TokenResponse
    currencies: list[str] = Field(description="What a purchase may be paid in.")
    limits: dict[str, LimitResponse] = Field(description="By currency.")
    stripe: StripeResponse
    session_creation: Literal["open", "keyed"] = Field(
        description="`keyed`: only a server with an API key starts purchases, and the page follows them by their ids."
    )
    sales_paused: bool
    locales: list[str] = Field(description="The languages that buyers are served in, as BCP 47 tags.")
    merchant_name: str | None
    support_email: str | None
