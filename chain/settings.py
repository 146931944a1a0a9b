"""The settings this floor needs; `onramp.settings` composes them with the others'."""

from pydantic import BaseModel, Field, SecretStr, field_validator

from chain.nodes import parse_nodes
from chain.types import to_checksum


class ChainSettings(BaseModel):
    """Which chain, which nodes, how many of them must say the same. URLs hold keys, so they are secrets throughout."""

    CHAIN_ID: int = Field(default=31611, gt=0, description="31611 Mezo testnet, 31612 Mezo mainnet")
    MEZO_RPC_URLS: SecretStr = Field(
        default=SecretStr(""), description="public nodes, comma-separated, in order of preference"
    )
    SPECTRUM_RPC_URLS: SecretStr = Field(default=SecretStr(""), description="private nodes, preferred")
    MEZO_WS_URLS: SecretStr = Field(default=SecretStr(""), description="optional wake-ups")
    CHAIN_AGREEMENT: int = Field(default=2, ge=1, description="how many operators must say the same before money moves")
    MUSD_TOKEN_ADDRESS: str = Field(default="", description="empty: from contracts/deployments")

    @field_validator("MEZO_RPC_URLS", "SPECTRUM_RPC_URLS")
    @classmethod
    def _nodes_can_be_read(cls, value: SecretStr) -> SecretStr:
        parse_nodes(value.get_secret_value())
        return value

    @field_validator("MUSD_TOKEN_ADDRESS")
    @classmethod
    def _token_is_an_address(cls, value: str) -> str:
        return to_checksum(value) if value else value
