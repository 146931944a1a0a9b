"""Real Safes on the development chain, and counterfeits of them."""

import itertools
import json
from collections.abc import Sequence

from coincurve import PrivateKey

from chain.types import ZERO_ADDRESS, Address, keccak, to_checksum
from onramp.dev.chain import artifacts
from onramp.dev.chain.artifacts import call_data
from onramp.dev.chain.deploy import DevContracts
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from onramp.dev.local.host import ROOT
from treasury.cold.identity import ColdPin
from treasury.cold.safetx import SafeTransaction
from treasury.cold.signatures import check

_salts = itertools.count(1)
SENDER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
"""The first of the development node's unlocked accounts; it has gas and no special rights."""


def sign(key: str, digest: bytes) -> str:
    """Sign as an owner's hardware wallet does: r, s, and a last byte of 27 or 28."""
    raw = PrivateKey(bytes.fromhex(key[2:])).sign_recoverable(digest, hasher=None)
    return "0x" + (raw[:64] + bytes([raw[64] + 27])).hex()


def _old(name: str) -> dict[str, str]:
    """Load a contract of Safe 1.3.0 from its npm package."""
    path = ROOT / "node_modules/@gnosis.pm/safe-contracts/build/artifacts/contracts"
    artifact: dict[str, str] = json.loads((path / f"{name}.sol" / f"{name.rsplit('/', 1)[-1]}.json").read_text())
    return artifact


class Safes:
    """Creates Safes owned by the development chain's five owners."""

    def __init__(self, chain: DevChain) -> None:
        self.chain = chain
        self.contracts = DevContracts(chain.anvil.url, CHAIN_ID)
        self.owners = chain.deployment.safe_owners
        self.keys = dict(zip(self.owners, chain.deployment.safe_owner_keys, strict=True))

    def pin(self, address: Address, **changes: object) -> ColdPin:
        fields: dict[str, object] = {"owners": self.owners, "threshold": 3, **changes}
        return ColdPin(CHAIN_ID, address, **fields)  # type: ignore[arg-type]

    async def send(self, to: Address, data: str | bytes) -> None:
        text = data if isinstance(data, str) else "0x" + data.hex()
        await self.contracts.send(SENDER, to, text)

    async def make(
        self, owners: Sequence[Address] | None = None, threshold: int = 3, handler: Address | None = None
    ) -> Address:
        """Create a proxy with the canonical factory, as wallets do."""
        safe = self.contracts.deployment.safes["1.4.1"]
        arguments = (tuple(owners or self.owners), threshold, ZERO_ADDRESS, b"", handler or safe.fallback_handlers[0], ZERO_ADDRESS, 0, ZERO_ADDRESS)  # fmt: skip
        setup = bytes.fromhex(
            call_data("setup(address[],uint256,address,bytes,address,address,uint256,address)", *arguments)[2:]
        )
        salt = next(_salts)
        creation = artifacts.safe("proxies/SafeProxy").creation + bytes.fromhex(safe.singletons[1][2:]).rjust(32, b"\0")
        salted = keccak(keccak(setup) + salt.to_bytes(32, "big"))
        raw = keccak(b"\xff" + bytes.fromhex(safe.proxy_factory[2:]) + salted + keccak(creation))[12:]
        await self.send(
            safe.proxy_factory,
            call_data("createProxyWithNonce(address,bytes,uint256)", safe.singletons[1], setup, salt),
        )
        return to_checksum("0x" + raw.hex())

    async def make_old(self) -> Address:
        """Create a Safe 1.3.0 proxy, the version on Mezo mainnet."""
        safe = self.contracts.deployment.safes["1.3.0"]
        for address, name in ((safe.singletons[1], "GnosisSafeL2"), (safe.fallback_handlers[0], "handler/CompatibilityFallbackHandler")):  # fmt: skip
            if await self.chain.rpc("eth_getCode", address, "latest") == "0x":
                await self.place(address, _old(name)["deployedBytecode"])
                await self.store(address, 4, "0x" + "1".rjust(40, "0"))
        creation = _old("proxies/GnosisSafeProxy")["bytecode"] + safe.singletons[1][2:].lower().rjust(64, "0")
        proxy = to_checksum((await self.contracts.send(SENDER, None, creation))["contractAddress"])
        arguments = (self.owners, 3, ZERO_ADDRESS, b"", safe.fallback_handlers[0], ZERO_ADDRESS, 0, ZERO_ADDRESS)
        await self.send(
            proxy, call_data("setup(address[],uint256,address,bytes,address,address,uint256,address)", *arguments)
        )
        return proxy

    async def execute(self, safe: Address, to: Address, data: str, nonce: int = 0) -> None:
        """Execute a Safe transaction signed by three owners and sent by an account without rights."""
        transaction = SafeTransaction(CHAIN_ID, safe, to, 0, bytes.fromhex(data[2:]), nonce)
        collected = [sign(self.keys[owner], transaction.safe_tx_hash) for owner in self.owners[:3]]
        checked = check(collected, transaction.safe_tx_hash, self.owners, 3)
        assert checked.packed is not None, checked.problems
        await self.send(safe, transaction.execution(checked.packed))

    async def place(self, address: Address, code: bytes | str) -> None:
        """Put code at an address where no factory can."""
        await self.chain.rpc("anvil_setCode", address, code if isinstance(code, str) else "0x" + code.hex())

    async def store(self, address: Address, slot: int, value: Address) -> None:
        """Overwrite one slot of a contract's storage."""
        await self.chain.rpc("anvil_setStorageAt", address, hex(slot), "0x" + value[2:].lower().rjust(64, "0"))
        await self.chain.rpc("anvil_mine", "0x1")


def parrot(of: Address) -> bytes:
    """Return runtime code that answers every call as the contract `of` does, so with the right owners and threshold."""
    # CALLDATACOPY all of it, STATICCALL `of` with it, RETURNDATACOPY and RETURN what came.
    return bytes.fromhex("3660006000376000600036600073" + of[2:].lower() + "5afa503d600060003e3d6000f3")
