"""Deploy the real contracts on a development chain: MUSD at its testnet address, Safe 1.4.1 and PayOnce at their canonical ones."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from coincurve import PrivateKey
from eth_abi.abi import decode, encode

from chain import payonce
from chain.deployments import deployment
from chain.signatures.recovery import account_of
from chain.types import ZERO_ADDRESS, Address, data_bytes, keccak, to_checksum, to_hex
from onramp.dev.chain import artifacts
from onramp.dev.chain.artifacts import call_data
from onramp.dev.chain.rpc import DevChainError, Rpc

OWNERS: Final = 5
THRESHOLD: Final = 3
_SETTLE_SECONDS: Final = 15.0
_GAS: Final = 9_000_000
# The slot of `threshold` in OwnerManager, the third parent of the Safe.
_SAFE_THRESHOLD_SLOT: Final = 4
_ONE: Final = "0x" + "1".rjust(64, "0")


class DeployError(DevChainError):
    """The chain does not hold the expected contracts; the text says which."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The contracts on the development chain, the same in every run. The owners' keys are derived from public text and protect nothing."""

    chain_id: int
    musd: Address
    payonce: Address
    safe: Address
    safe_owners: tuple[Address, ...]
    safe_owner_keys: tuple[str, ...] = field(repr=False)


def _owner_keys() -> list[bytes]:
    return [keccak(f"onramp development: owner {place} of the Safe".encode()) for place in range(1, OWNERS + 1)]


def _address_of(key: bytes) -> Address:
    return account_of(PrivateKey(key).public_key.format(compressed=False)[1:])


class DevContracts:
    """Deploys, mints and funds through a node's unlocked accounts and its cheat codes."""

    def __init__(self, url: str, chain_id: int) -> None:
        """Prepare calls to the node at `url`; nothing is sent. Raises LookupError for a chain without `contracts/deployments/<chain id>.json`."""
        self._rpc = Rpc(url)
        self._chain_id = chain_id
        self.deployment = deployment(chain_id)
        self.musd = self.deployment.musd

    async def deploy(self) -> Deployment:
        """Deploy the contracts that are missing. Raises DeployError, ArtifactError, RpcError."""
        minter = await self._minter()
        keys = _owner_keys()
        owners = tuple(_address_of(key) for key in keys)
        await self._place_musd(minter)
        safe = await self._place_safe(minter, owners)
        await self._place_payonce(minter)
        return Deployment(
            self._chain_id, self.musd, payonce.ADDRESS, safe, owners, tuple("0x" + key.hex() for key in keys)
        )

    async def mint(self, to: Address, amount: int) -> None:
        """Mint MUSD, in base units; return when the transaction is mined."""
        await self.send(await self._minter(), self.musd, call_data("mint(address,uint256)", to, amount))

    async def fund_gas(self, to: Address, wei: int) -> None:
        """Set the native balance (BTC on Mezo) of `to`, in wei."""
        await self._rpc("anvil_setBalance", to, hex(wei))

    async def balance(self, holder: Address) -> int:
        """Return the holder's MUSD, in base units."""
        (amount,) = await self._read(self.musd, "balanceOf(address)", "uint256", holder)
        return int(amount)

    async def safe_owners(self, safe: Address) -> tuple[int, tuple[Address, ...]]:
        """Return threshold and owners as the Safe reports them."""
        (threshold,) = await self._read(safe, "getThreshold()", "uint256")
        (owners,) = await self._read(safe, "getOwners()", "address[]")
        return int(threshold), tuple(to_checksum(owner) for owner in owners)

    async def _place_musd(self, minter: Address) -> None:
        if not await self._code(self.musd):
            artifact = artifacts.musd()
            made = (await self.send(minter, None, "0x" + artifact.creation.hex()))["contractAddress"]
            for slot in artifact.storage:
                value = await self._rpc("eth_getStorageAt", made, hex(slot), "latest")
                await self._rpc("anvil_setStorageAt", self.musd, hex(slot), value)
            # The code comes last, because its presence means that the deployment is complete. The immutables hold the address of the
            # original deployment, so the token recomputes its EIP-712 domain, as after a fork. The original is then removed.
            await self._rpc("anvil_setCode", self.musd, await self._rpc("eth_getCode", made, "latest"))
            await self._rpc("anvil_setCode", made, "0x")
        if (await self._read(self.musd, "symbol()", "string"))[0] != "MUSD":
            raise DeployError(
                f"The contract at {self.musd} of this chain is not MUSD: delete the chain's data and start again."
            )
        if not (await self._read(self.musd, "mintList(address)", "bool", minter))[0]:
            await self.send(minter, self.musd, call_data("addToMintList(address)", minter))

    async def _place_safe(self, sender: Address, owners: tuple[Address, ...]) -> Address:
        canonical = self.deployment.safes["1.4.1"]
        factory, handler = canonical.proxy_factory, canonical.fallback_handlers[0]
        for singleton, name in zip(canonical.singletons, ("Safe", "SafeL2"), strict=True):
            # Set by the real constructor, too: with a threshold, the singleton itself cannot be set up.
            await self._place(singleton, name, {_SAFE_THRESHOLD_SLOT: _ONE})
        await self._place(factory, "proxies/SafeProxyFactory", {})
        await self._place(handler, "handler/CompatibilityFallbackHandler", {})
        await self._place(canonical.multi_send_call_only, "libraries/MultiSendCallOnly", {})
        setup = bytes.fromhex(
            call_data(
                "setup(address[],uint256,address,bytes,address,address,uint256,address)",
                *(owners, THRESHOLD, ZERO_ADDRESS, b"", handler, ZERO_ADDRESS, 0, ZERO_ADDRESS),
            )[2:]
        )
        singleton = canonical.singletons[1]
        safe = _proxy_address(factory, singleton, setup)
        if not await self._code(safe):
            create = call_data("createProxyWithNonce(address,bytes,uint256)", singleton, setup, 0)
            await self.send(sender, factory, create)
        if await self.safe_owners(safe) != (THRESHOLD, owners):
            raise DeployError(
                f"The contract at {safe} of this chain is not our Safe: delete the chain's data and start again."
            )
        return safe

    async def _place_payonce(self, sender: Address) -> None:
        """Deploy PayOnce as on Mezo, through the deterministic factory, which the node has from its first block."""
        if not await self._code(payonce.ADDRESS):
            data = to_hex(payonce.deployment_calldata(payonce.init_code()))
            await self.send(sender, payonce.FACTORY, data)
        if keccak(data_bytes(await self._rpc("eth_getCode", payonce.ADDRESS, "latest"))) != bytes.fromhex(
            payonce.CODE_HASH[2:]
        ):
            raise DeployError(
                f"The contract at {payonce.ADDRESS} of this chain is not PayOnce: delete the chain's data and start again."
            )

    async def _place(self, address: Address, name: str, storage: dict[int, str]) -> None:
        if await self._code(address):
            return
        for slot, value in storage.items():
            await self._rpc("anvil_setStorageAt", address, hex(slot), value)
        await self._rpc("anvil_setCode", address, "0x" + artifacts.safe(name).runtime.hex())

    async def _minter(self) -> Address:
        return to_checksum((await self._rpc("eth_accounts"))[0])

    async def _code(self, address: Address) -> bool:
        return bool(await self._rpc("eth_getCode", address, "latest") != "0x")

    async def _read(self, to: Address, signature: str, returns: str, *values: Any) -> tuple[Any, ...]:
        raw = await self._rpc("eth_call", {"to": to, "data": call_data(signature, *values)}, "latest")
        return decode([returns], bytes.fromhex(raw[2:]))

    async def send(self, sender: Address, to: Address | None, data: str) -> dict[str, Any]:
        transaction = {"from": sender, "data": data, "gas": hex(_GAS)} | ({"to": to} if to is not None else {})
        tx_hash = await self._rpc("eth_sendTransaction", transaction)
        receipt = await self._mined(tx_hash)
        if receipt["status"] != "0x1":
            raise DeployError(f"A development transaction to {to or 'a new contract'} reverted.")
        return receipt

    async def _mined(self, tx_hash: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                while True:
                    receipt: dict[str, Any] | None = await self._rpc("eth_getTransactionReceipt", tx_hash)
                    if receipt is not None:
                        return receipt
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise DeployError(f"A development transaction was not mined within {_SETTLE_SECONDS:.0f} s.") from error


def _proxy_address(factory: Address, singleton: Address, setup: bytes) -> Address:
    """Return the address at which the factory's CREATE2 creates the proxy with salt nonce 0."""
    creation = artifacts.safe("proxies/SafeProxy").creation + encode(["address"], [singleton])
    salt = keccak(keccak(setup) + bytes(32))
    return to_checksum("0x" + keccak(b"\xff" + bytes.fromhex(factory[2:]) + salt + keccak(creation))[12:].hex())


async def deploy(url: str) -> Deployment:
    """Deploy the contracts that are missing on the node at `url`. Raises DeployError, ArtifactError, RpcError."""
    return await DevContracts(url, int(await Rpc(url)("eth_chainId"), 16)).deploy()
