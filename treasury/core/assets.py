"""The assets that the hot wallet holds, and the one that Stripe delivers: names, addresses, decimals."""

from typing import Final

from chain.types import ZERO_ADDRESS, Address, to_checksum

MUSD: Final = "MUSD"
MUSD_DECIMALS: Final = 18
GAS_ASSET: Final = "BTC"
"""The symbol of Mezo's gas token."""
GAS_DECIMALS: Final = 18
NATIVE: Final[Address] = ZERO_ADDRESS
"""The zero address, which represents the gas token wherever a token's address is expected."""
NATIVE_AS_TOKEN: Final[Address] = to_checksum("0x7b7c000000000000000000000000000000000000")
"""The address of Mezo's precompile that presents the native balance as an ERC-20 token (mezod, precompile/btctoken): the same coins."""
GWEI_DECIMALS: Final = 9
GWEI: Final = 10**GWEI_DECIMALS
"""The number of wei, the base unit of the gas token, in one gwei."""
USDC: Final = "USDC"
USDC_DECIMALS: Final = 6
