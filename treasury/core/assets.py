"""What the hot wallet holds, and what Stripe owes for it: names, addresses, decimals."""

from typing import Final

from chain.types import ZERO_ADDRESS, Address, to_checksum

MUSD: Final = "MUSD"
MUSD_DECIMALS: Final = 18
GAS_ASSET: Final = "BTC"
"""Mezo's gas token."""
GAS_DECIMALS: Final = 18
NATIVE: Final[Address] = ZERO_ADDRESS
"""Stands for the gas token where a token's address is asked for."""
NATIVE_AS_TOKEN: Final[Address] = to_checksum("0x7b7c000000000000000000000000000000000000")
"""Mezo's precompile that shows the native balance as an ERC-20 (mezod, precompile/btctoken): the same coins again."""
GWEI_DECIMALS: Final = 9
GWEI: Final = 10**GWEI_DECIMALS
"""In wei, the base unit of the gas token."""
USDC: Final = "USDC"
USDC_DECIMALS: Final = 6
