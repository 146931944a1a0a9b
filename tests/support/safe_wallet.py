"""A contract wallet that signs messages: a Safe with one owner, deployed or not."""

from typing import Any

from coincurve import PrivateKey
from eth_abi.abi import encode
from eth_account import Account

from chain.deployments import deployment
from chain.signatures.verify import SUFFIX_6492, personal_hash
from chain.types import ZERO_ADDRESS, keccak, to_checksum
from onramp.dev.chain import artifacts
from onramp.dev.chain.artifacts import call_data
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.waiting import eventually

MESSAGE = "Log in to see your purchases."


KEY = keccak(b"a wallet of the tests")


OWNER = Account.from_key(KEY).address


class SafeWallet:
    """A Safe with one owner from the canonical factory. Its address is known before it is deployed."""

    def __init__(self, chain: DevChain, salt: int) -> None:
        safe = deployment(CHAIN_ID).safes["1.4.1"]
        self.chain, self.factory = chain, safe.proxy_factory
        setup = call_data(
            "setup(address[],uint256,address,bytes,address,address,uint256,address)",
            (OWNER,), 1, ZERO_ADDRESS, b"", safe.fallback_handlers[0], ZERO_ADDRESS, 0, ZERO_ADDRESS,
        )  # fmt: skip
        raw = bytes.fromhex(setup[2:])
        self.make = call_data("createProxyWithNonce(address,bytes,uint256)", safe.singletons[1], raw, salt)
        creation = artifacts.safe("proxies/SafeProxy").creation + bytes.fromhex(safe.singletons[1][2:]).rjust(32, b"\0")
        salted = keccak(keccak(raw) + salt.to_bytes(32, "big"))
        where = keccak(b"\xff" + bytes.fromhex(self.factory[2:]) + salted + keccak(creation))[12:]
        self.address = to_checksum("0x" + where.hex())

    async def deploy(self) -> None:
        account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        transaction = {"from": account, "to": self.factory, "data": self.make, "gas": hex(5_000_000)}
        tx_hash = await self.chain.rpc("eth_sendTransaction", transaction)
        receipt: dict[str, Any] = await eventually(
            lambda: self.chain.rpc("eth_getTransactionReceipt", tx_hash), every=0.02
        )
        assert receipt["status"] == "0x1"

    def sign(self, message: str = MESSAGE, key: bytes = KEY) -> bytes:
        """Sign a message as the owner of a Safe does: EIP-712 SafeMessage, under the Safe's own domain."""
        separator = keccak(
            encode(
                ["bytes32", "uint256", "address"],
                [keccak(b"EIP712Domain(uint256 chainId,address verifyingContract)"), CHAIN_ID, self.address],
            )
        )
        content = keccak(encode(["bytes32", "bytes32"], [keccak(b"SafeMessage(bytes message)"), keccak(personal_hash(message))]))  # fmt: skip
        raw = PrivateKey(key).sign_recoverable(keccak(b"\x19\x01" + separator + content), hasher=None)
        return raw[:64] + bytes([raw[64] + 27])

    def wrapped(self, inner: bytes, factory: str | None = None) -> str:
        body = encode(["address", "bytes", "bytes"], [factory or self.factory, bytes.fromhex(self.make[2:]), inner])
        return "0x" + (body + SUFFIX_6492).hex()
