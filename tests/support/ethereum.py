"""A second real chain for tests, in the place of Ethereum: tokens on it, transfers of them, and blocks on demand."""

from typing import Any, Final

from chain.abi.erc20 import TRANSFER_TOPIC, encode_transfer
from chain.types import Address, to_checksum
from onramp.dev.chain import artifacts
from onramp.dev.chain.anvil import Anvil
from onramp.dev.chain.artifacts import call_data
from onramp.dev.chain.rpc import Rpc

CHAIN_ID: Final = 1
BANK: Final = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
"""The first of the node's unlocked accounts: it mints and pays."""
PROXY_OF_FEES: Final = to_checksum("0x" + "fe" * 20)
_GAS: Final = hex(5_000_000)


class Ethereum:
    """One anvil with a token; `start` it first."""

    def __init__(self) -> None:
        self.anvil = Anvil(chain_id=CHAIN_ID)
        self.usdc: Address = ""

    async def start(self) -> None:
        await self.anvil.start()
        self.rpc = Rpc(self.anvil.url)
        self.usdc = await self.new_token()

    async def new_token(self) -> Address:
        """Deploy a real ERC-20 and return its address; each has the same symbol."""
        made = await self.send(None, "0x" + artifacts.musd().creation.hex())
        token = to_checksum((await self.receipt(made))["contractAddress"])
        await self.send(token, call_data("addToMintList(address)", BANK))
        await self.send(token, call_data("mint(address,uint256)", BANK, 10**18))
        return token

    async def fee_token(self) -> Address:
        """Deploy a token that keeps a hundredth of each transfer, and logs it; return its address."""
        token, topic = to_checksum("0x" + "fee0" * 10), TRANSFER_TOPIC[2:]
        code = (
            "60646024350480600052" + "60fe337f" + topic + "60206000a3"  # a hundredth, to the address 0xfe
            "602435036000526004"
            + "35337f"
            + topic
            + "60206000a3"
            + "600160005260206000f3"  # the rest, to the recipient
        )
        await self.rpc("anvil_setCode", token, "0x" + code)
        return token

    async def send(self, to: Address | None, data: str, sender: Address = BANK) -> str:
        """Send a transaction; return its hash once it is mined, whether it succeeded or not."""
        await self.rpc("anvil_impersonateAccount", sender)
        await self.rpc("anvil_setBalance", sender, hex(10**20))
        fields: dict[str, Any] = {"from": sender, "data": data, "gas": _GAS} | ({"to": to} if to else {})
        tx_hash: str = await self.rpc("eth_sendTransaction", fields)
        await self.rpc("evm_mine")
        return tx_hash

    async def receipt(self, tx_hash: str) -> dict[str, Any]:
        receipt: dict[str, Any] = await self.rpc("eth_getTransactionReceipt", tx_hash)
        return receipt

    async def pay(self, to: Address, amount: int, token: Address = "", sender: Address = BANK, deep: int = 5) -> str:
        """Transfer base units of a token, and mine blocks on top."""
        tx_hash = await self.send(token or self.usdc, "0x" + encode_transfer(to, amount).hex(), sender)
        await self.mine(deep)
        return tx_hash

    async def mine(self, blocks: int) -> None:
        await self.rpc("anvil_mine", hex(blocks))
