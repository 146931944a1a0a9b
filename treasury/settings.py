"""What the environment says about the hot wallet."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class TreasurySettings(BaseModel):
    """Mixed into the service's settings; names are those of the environment variables."""

    HOT_WALLET_SIGNER: Literal["local", "aws-kms", "gcp-kms"] = Field(
        default="local", description="What holds the hot wallet's key."
    )
    HOT_WALLET_ADDRESS: str | None = Field(
        default=None, description="Pinned: a signer that does not recover to it stops the start."
    )
    HOT_WALLET_KEYSTORE: Path | None = Field(default=None, description="`local`: an encrypted keystore file.")
    HOT_WALLET_PASSWORD: SecretStr | None = Field(default=None, description="`local`: opens the keystore.")
