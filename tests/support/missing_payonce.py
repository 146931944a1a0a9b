"""A development chain on which PayOnce is not deployed yet."""

from chain import payonce
from onramp.dev.chain.devchain import DevChain


async def remove_payonce(chain: DevChain) -> None:
    """Remove the contract, so that the factory can create it again: an account with a nonce is taken (EIP-684)."""
    await chain.rpc("anvil_setCode", payonce.ADDRESS, "0x")
    await chain.rpc("anvil_setNonce", payonce.ADDRESS, "0x0")
    await chain.rpc("anvil_mine", "0x2")
