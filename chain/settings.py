"""The settings of the chain layer; `onramp.config.settings` combines them with those of the other layers."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator

from chain.deployments import deployment
from chain.node.budget import Plan, parse_weights
from chain.node.config import NodeConfig, parse_nodes, parse_ws, read_nodes
from chain.types import to_checksum


class ChainSettings(BaseModel):
    """The chain, its nodes, and how many node providers must agree. URLs contain API keys, so all of them are secrets."""

    CHAIN_ID: int = Field(
        default=31611,
        gt=0,
        description="The chain: 31611 is Mezo testnet, 31612 Mezo mainnet.",
    )
    MEZO_RPC_URLS: SecretStr = Field(
        default=SecretStr(""),
        description="Public nodes, comma-separated, in order of preference; each is a URL or `operator=url`, where `operator` names who runs the node.",
    )
    SPECTRUM_RPC_URLS: SecretStr = Field(
        default=SecretStr(""),
        description="Private nodes, written the same way and preferred; their paths hold API keys and are never shown.",
    )
    PUBLIC_RPC_URLS: str = Field(
        default="",
        description="Nodes that wallets may be given to add the chain, comma-separated, without keys: every page can read them in the public"
        " configuration. The service itself does not use them.",
    )
    MEZO_WS_URLS: SecretStr = Field(
        default=SecretStr(""),
        description="WebSocket nodes, comma-separated, that announce new blocks, at two calls a block to each provider; without them the nodes are polled"
        " as often as blocks come, at about three calls a block.",
    )
    CHAIN_NODES_FILE: Path | None = Field(
        default=None,
        description="A file with lines `MEZO_RPC_URLS=...` and `SPECTRUM_RPC_URLS=...` that replaces both variables and is read again whenever it changes. If"
        " it has any other line it is refused, and the last valid list stays in use.",
    )
    SPECTRUM_REQUESTS_PER_SECOND: int = Field(
        default=0,
        ge=0,
        description="The most requests per second to each private node; 0 means no limit.",
    )
    SPECTRUM_MONTHLY_CREDITS: int = Field(
        default=0,
        ge=0,
        description="The most credits per month that each private node may use, counted by weights; the last tenth is kept for calls that money depends"
        " on. 0 means no limit.",
    )
    SPECTRUM_CREDIT_WEIGHTS: str = Field(
        default="",
        description="What calls cost in credits where your plan differs from our estimates, such as `eth_getLogs=10,eth_call=1,*=2`; `*` stands for all"
        " other methods.",
    )
    CHAIN_AGREEMENT: int = Field(
        default=2,
        ge=1,
        description="How many node providers must give the same answer before money moves.",
    )
    MUSD_TOKEN_ADDRESS: str = Field(
        default="",
        description="The address of the MUSD token; if empty, the one in `contracts/deployments`.",
    )

    @field_validator("CHAIN_ID")
    @classmethod
    def _check_chain(cls, value: int) -> int:
        try:
            deployment(value)
        except LookupError as error:
            raise ValueError(
                "is not a chain that contracts/deployments describes: 31611 is Mezo testnet, 31612 Mezo mainnet"
            ) from error
        return value

    @field_validator("MEZO_RPC_URLS", "SPECTRUM_RPC_URLS")
    @classmethod
    def _check_nodes(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        text = value.get_secret_value()
        parse_nodes(*(("", text) if info.field_name == "SPECTRUM_RPC_URLS" else (text, "")))
        return value

    @field_validator("PUBLIC_RPC_URLS")
    @classmethod
    def _check_public_nodes(cls, value: str) -> str:
        items = [item.strip() for item in value.split(",") if item.strip()]
        for item in items:
            parts = urlsplit(item)
            if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
                raise ValueError("takes URLs of nodes, comma-separated, such as https://rpc.test.mezo.org")
        return ",".join(items)

    @field_validator("SPECTRUM_CREDIT_WEIGHTS")
    @classmethod
    def _check_weights(cls, value: str) -> str:
        parse_weights(value)
        return value

    @field_validator("MEZO_WS_URLS")
    @classmethod
    def _check_ws_nodes(cls, value: SecretStr) -> SecretStr:
        parse_ws(value.get_secret_value())
        return value

    @field_validator("CHAIN_NODES_FILE")
    @classmethod
    def _check_nodes_file(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                read_nodes(value)
            except OSError as error:
                raise ValueError(f"the file cannot be read ({error.strerror})") from error
        return value

    @field_validator("MUSD_TOKEN_ADDRESS")
    @classmethod
    def _check_token(cls, value: str) -> str:
        return to_checksum(value) if value else value

    @property
    def plan(self) -> Plan:
        """The rate and credit limits of each private node."""
        weights = parse_weights(self.SPECTRUM_CREDIT_WEIGHTS)
        return Plan(self.SPECTRUM_REQUESTS_PER_SECOND, self.SPECTRUM_MONTHLY_CREDITS, weights)

    def nodes(self) -> list[NodeConfig]:
        """Return the nodes to start with: those in CHAIN_NODES_FILE if it is set, else those of MEZO_RPC_URLS and SPECTRUM_RPC_URLS.

        Raises OSError if the file cannot be read, ValueError if an entry is invalid.
        """
        if self.CHAIN_NODES_FILE is not None:
            return read_nodes(self.CHAIN_NODES_FILE)
        return parse_nodes(self.MEZO_RPC_URLS.get_secret_value(), self.SPECTRUM_RPC_URLS.get_secret_value())
