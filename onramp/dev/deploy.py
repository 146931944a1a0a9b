"""Put the real contracts on a development chain: MUSD where the testnet has it, Safe 1.4.1 at its canonical addresses."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from eth_abi.abi import decode, encode

from chain.deployments import deployment
from chain.types import ZERO_ADDRESS, keccak, to_checksum
from onramp.dev.anvil import ROOT, rpc

MODULES: Final = ROOT / "node_modules"
MNEMONIC_ACCOUNTS: Final = 12
OWNERS: Final = 5
THRESHOLD: Final = 3
_MUSD_SLOTS: Final = 24
"""MUSD keeps everything outside its mappings in its first slots; copying a few too many copies zeros."""
_SETTLE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """What stands on the development chain."""

    musd: str
    safe: str
    safe_owners: tuple[str, ...]
    deployer: str
    safe_owner_keys: tuple[str, ...] = field(repr=False)


def _artifact(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(path.read_bytes())
    return loaded


def _safe_artifact(name: str) -> dict[str, Any]:
    return _artifact(MODULES / "@safe-global/safe-contracts/build/artifacts/contracts" / f"{name}.sol" / f"{name.rsplit('/', 1)[-1]}.json")


def selector(signature: str) -> bytes:
    """The first four bytes of the keccak of a function's signature."""
    return keccak(signature.encode())[:4]


def call_data(signature: str, *values: Any) -> str:
    """The calldata of a call, as JSON-RPC hex."""
    inside = signature[signature.index("(") + 1 : -1]
    types = [item for item in inside.split(",") if item]
    return "0x" + (selector(signature) + encode(types, list(values))).hex()


class DevContracts:
    """Speaks to a development node by its unlocked accounts and its cheat codes."""

    def __init__(self, session: aiohttp.ClientSession, url: str, chain_id: int) -> None:
        """Nothing is sent yet."""
        self._session = session
        self._url = url
        self._known = deployment(chain_id)
        self.musd = self._known.musd

    async def rpc(self, method: str, *params: Any) -> Any:
        """One call to the node."""
        return await rpc(self._session, self._url, method, *params)

    async def deploy(self) -> Deployment:
        """Deploy what is not there yet; the same addresses every time."""
        accounts = [to_checksum(item) for item in await self.rpc("eth_accounts")]
        deployer, owners = accounts[0], tuple(accounts[2 : 2 + OWNERS])
        if await self.rpc("eth_getCode", self.musd, "latest") == "0x":
            await self._deploy_musd(deployer)
        safe = await self._deploy_safe(deployer, owners)
        return Deployment(self.musd, safe, owners, deployer, tuple(_account_keys()[2 : 2 + OWNERS]))

    async def mint(self, to: str, units: int) -> None:
        """Give MUSD, in base units."""
        await self.send((await self.rpc("eth_accounts"))[0], self.musd, call_data("mint(address,uint256)", to, units))

    async def fund_gas(self, to: str, wei: int) -> None:
        """Set the native balance, in wei."""
        await self.rpc("anvil_setBalance", to, hex(wei))

    async def balance(self, holder: str) -> int:
        """MUSD of one holder, in base units."""
        raw = await self.rpc("eth_call", {"to": self.musd, "data": call_data("balanceOf(address)", holder)}, "latest")
        return int(raw, 16)

    async def send(self, sender: str, to: str | None, data: str) -> dict[str, Any]:
        """Send from an unlocked account and wait for the receipt; RuntimeError where it reverted."""
        transaction = {"from": sender, "data": data, "gas": hex(9_000_000)} | ({"to": to} if to is not None else {})
        tx_hash = await self.rpc("eth_sendTransaction", transaction)
        async with asyncio.timeout(_SETTLE_SECONDS):
            while True:
                receipt: dict[str, Any] | None = await self.rpc("eth_getTransactionReceipt", tx_hash)
                if receipt is not None:
                    break
                await asyncio.sleep(0.02)
        if receipt["status"] != "0x1":
            message = f"a development transaction to {to or 'a new contract'} reverted"
            raise RuntimeError(message)
        return receipt

    async def _deploy_musd(self, deployer: str) -> None:
        artifact = _artifact(MODULES / "@mezo-org/musd-contracts/deployments/matsnet/MUSD.json")
        made = (await self.send(deployer, None, artifact["bytecode"]))["contractAddress"]
        code = await self.rpc("eth_getCode", made, "latest")
        await self.rpc("anvil_setCode", self.musd, code)
        for slot in range(_MUSD_SLOTS):
            value = await self.rpc("eth_getStorageAt", made, hex(slot), "latest")
            if int(value, 16):
                await self.rpc("anvil_setStorageAt", self.musd, hex(slot), value)
        await self.send(deployer, self.musd, call_data("addToMintList(address)", deployer))

    async def _deploy_safe(self, deployer: str, owners: tuple[str, ...]) -> str:
        canonical = self._known.safes["1.4.1"]
        singleton, factory, handler = canonical.singletons[1], canonical.proxy_factory, canonical.fallback_handlers[0]
        for address, name in (
            (canonical.singletons[0], "Safe"), (singleton, "SafeL2"), (factory, "proxies/SafeProxyFactory"),
            (handler, "handler/CompatibilityFallbackHandler"),
        ):
            if await self.rpc("eth_getCode", address, "latest") == "0x":
                await self.rpc("anvil_setCode", address, _safe_artifact(name)["deployedBytecode"])
                if name.startswith("Safe"):
                    # As its constructor does: a threshold of 1 keeps anybody from setting the singleton itself up.
                    await self.rpc("anvil_setStorageAt", address, "0x4", "0x" + "0" * 63 + "1")
        setup = call_data(
            "setup(address[],uint256,address,bytes,address,address,uint256,address)",
            list(owners), THRESHOLD, ZERO_ADDRESS, b"", handler, ZERO_ADDRESS, 0, ZERO_ADDRESS,
        )
        create = call_data("createProxyWithNonce(address,bytes,uint256)", singleton, bytes.fromhex(setup[2:]), 0)
        safe = await self._predicted(factory, singleton, bytes.fromhex(setup[2:]))
        if await self.rpc("eth_getCode", safe, "latest") == "0x":
            await self.send(deployer, factory, create)
        return safe

    async def _predicted(self, factory: str, singleton: str, setup: bytes) -> str:
        creation = _safe_artifact("proxies/SafeProxy")["bytecode"]
        initial = bytes.fromhex(creation[2:]) + encode(["address"], [singleton])
        salt = keccak(keccak(setup) + (0).to_bytes(32, "big"))
        digest = keccak(b"\xff" + bytes.fromhex(factory[2:]) + salt + keccak(initial))
        return to_checksum("0x" + digest[12:].hex())

    async def safe_identity(self, safe: str) -> tuple[int, tuple[str, ...]]:
        """Threshold and owners, as the Safe itself says."""
        threshold = await self.rpc("eth_call", {"to": safe, "data": call_data("getThreshold()")}, "latest")
        owners = await self.rpc("eth_call", {"to": safe, "data": call_data("getOwners()")}, "latest")
        (addresses,) = decode(["address[]"], bytes.fromhex(owners[2:]))
        return int(threshold, 16), tuple(to_checksum(item) for item in addresses)


def _account_keys() -> list[str]:
    """The keys of the node's well-known accounts; anybody has them, so they are worth nothing."""
    from eth_account import Account

    Account.enable_unaudited_hdwallet_features()
    words = "test test test test test test test test test test test junk"
    return [Account.from_mnemonic(words, account_path=f"m/44'/60'/0'/0/{index}").key.to_0x_hex() for index in range(MNEMONIC_ACCOUNTS)]
