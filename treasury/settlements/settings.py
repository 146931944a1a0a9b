"""The settings of the chain on which Stripe delivers USDC."""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, Field, SecretStr, field_validator

from chain.node.config import NodeConfig, parse_nodes
from chain.types import Address, to_checksum


@dataclass(frozen=True, slots=True)
class Network:
    """One chain that Stripe delivers on, and Circle's USDC there (developers.circle.com/stablecoins/usdc-contract-addresses)."""

    chain_id: int
    usdc: Address


NETWORKS: Final = {
    "ethereum": Network(1, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
    "base": Network(8453, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
    "polygon": Network(137, "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"),
    "avalanche": Network(43114, "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E"),
    "optimism": Network(10, "0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85"),
}


class SettlementSettings(BaseModel):
    """The nodes that may prove that USDC arrived. Without any, a second person has to make the same claim."""

    SETTLEMENT_RPC_URLS: SecretStr = Field(
        default=SecretStr(""),
        description="Nodes of the chain that Stripe delivers on, comma-separated, each a URL or `operator=url`; `onramp treasury settle-usdc` asks them."
        " Without them, two people have to confirm that USDC arrived.",
    )
    SETTLEMENT_CHAIN_ID: int = Field(
        default=0,
        ge=0,
        description="The id of that chain; 0 takes it from `STRIPE_DESTINATION_NETWORK`.",
    )
    SETTLEMENT_USDC_ADDRESS: str = Field(
        default="",
        description="The address of USDC on that chain; if empty, Circle's address there.",
    )
    SETTLEMENT_AGREEMENT: int = Field(
        default=2,
        ge=1,
        description="How many providers of `SETTLEMENT_RPC_URLS` must give the same answer; if fewer are configured, all of them must. A single provider is"
        " believed with a warning, which production on Mezo mainnet refuses.",
    )
    SETTLEMENT_CONFIRMATIONS: int = Field(
        default=64,
        ge=1,
        le=100_000,
        description="How many blocks deep a transfer of USDC must be; 64 are two epochs of Ethereum, after which a block is final.",
    )

    @field_validator("SETTLEMENT_RPC_URLS")
    @classmethod
    def _settlement_nodes_can_be_read(cls, value: SecretStr) -> SecretStr:
        parse_nodes(value.get_secret_value(), variable="SETTLEMENT_RPC_URLS")
        return value

    @field_validator("SETTLEMENT_USDC_ADDRESS")
    @classmethod
    def _usdc_is_an_address(cls, value: str) -> str:
        return to_checksum(value) if value else value

    def settlement_nodes(self) -> list[NodeConfig]:
        """Return the nodes of the chain of USDC, in order of preference; without any, arrivals of USDC are never verified."""
        return parse_nodes(self.SETTLEMENT_RPC_URLS.get_secret_value(), variable="SETTLEMENT_RPC_URLS")

    def settlement_network(self, name: str) -> Network | None:
        """Return the settings' chain and token, or else those of the network that Stripe calls `name`; None if one of them is unknown."""
        network = NETWORKS.get(name)
        chain_id = self.SETTLEMENT_CHAIN_ID or (network.chain_id if network else 0)
        built_in = network.usdc if network and network.chain_id == chain_id else ""
        token = self.SETTLEMENT_USDC_ADDRESS or built_in
        return Network(chain_id, token) if chain_id and token else None

    def settlement_problem(self) -> str | None:
        """Return why one node alone could prove that money arrived; None if it could not. Production on mainnet refuses to start with it."""
        providers = len({node.provider for node in self.settlement_nodes()})
        if providers == 0 or 2 <= self.SETTLEMENT_AGREEMENT <= providers:
            return None
        return (
            f"SETTLEMENT_AGREEMENT is {self.SETTLEMENT_AGREEMENT}: it must be at least 2 and at most the {providers} "
            "operators of SETTLEMENT_RPC_URLS"
        )
