"""The settings of the hot wallet and the cold wallet."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator

from chain.types import Address, to_checksum
from treasury.cold.identity import ColdPin
from treasury.cold.service import pin_of
from treasury.signers.local import keystore_address


class TreasurySettings(BaseModel):
    """The variables of the hot wallet and the cold wallet. Mixed into the service's settings."""

    HOT_WALLET_SIGNER: Literal["local", "aws-kms", "gcp-kms"] = Field(
        default="local",
        description="What holds the hot wallet's key: `aws-kms`, `gcp-kms`, or `local`, a keystore file for development.",
    )
    HOT_WALLET_ADDRESS: str = Field(
        default="",
        description="The address of the hot wallet; if the signer holds a key of another address, the service does not start.",
    )
    HOT_WALLET_KEYSTORE: Path | None = Field(
        default=None,
        description="`local`: the encrypted keystore file.",
    )
    HOT_WALLET_PASSWORD: SecretStr = Field(
        default=SecretStr(""),
        description="`local`: the password of the keystore file.",
    )
    HOT_WALLET_PIPELINE: int = Field(
        default=1,
        ge=1,
        le=16,
        description="How many transactions may be signed before the first of them is mined, at most 16.",
    )
    PAYOUT_CONTRACT: str = Field(
        default="",
        description="The address of the contract [PayOnce](payonce.md) on this chain. If it is set, payouts are made through it in batches, and the chain"
        " refuses to pay a purchase twice; the service starts only if the contract's pinned code stands there. It needs `onramp contract approve`."
        " If it is empty, payouts are direct transfers.",
    )
    COLD_SAFE_ADDRESS: str = Field(
        default="",
        description="The cold wallet: the Safe that sweeps go to; if empty, nothing is swept.",
    )
    COLD_SAFE_OWNERS: str = Field(
        default="",
        description="The owners of that Safe, exactly, comma-separated.",
    )
    COLD_SAFE_THRESHOLD: int = Field(
        default=3,
        ge=1,
        description="How many of the owners have to sign, exactly.",
    )
    COLD_SAFE_GUARD: str = Field(
        default="",
        description="The only guard that the Safe may have; if empty, it must have none.",
    )

    @field_validator("HOT_WALLET_KEYSTORE", mode="before")
    @classmethod
    def _empty_is_not_set(cls, value: object) -> object:
        return value or None

    @field_validator("HOT_WALLET_ADDRESS", "PAYOUT_CONTRACT", "COLD_SAFE_ADDRESS", "COLD_SAFE_GUARD")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return to_checksum(value) if value else value

    @field_validator("COLD_SAFE_OWNERS")
    @classmethod
    def _owners_are_addresses(cls, value: str) -> str:
        return ",".join(to_checksum(item.strip()) for item in value.split(",") if item.strip())

    @property
    def hot_wallet(self) -> Address | None:
        """The pinned hot wallet; without a pin the one that the keystore names, whose key must then match it. None if neither is configured."""
        if self.HOT_WALLET_ADDRESS or self.HOT_WALLET_SIGNER != "local" or self.HOT_WALLET_KEYSTORE is None:
            return self.HOT_WALLET_ADDRESS or None
        return keystore_address(self.HOT_WALLET_KEYSTORE)

    def cold_pin(self, chain_id: int) -> ColdPin | None:
        """Return the identity that the cold wallet must have; None without one. Raises ValueError if the values are not consistent."""
        owners = [owner for owner in self.COLD_SAFE_OWNERS.split(",") if owner]
        return pin_of(chain_id, self.COLD_SAFE_ADDRESS, owners, self.COLD_SAFE_THRESHOLD, self.COLD_SAFE_GUARD)
