"""Contract addresses of each chain, read from `contracts/deployments/<chain id>.json`, and the contracts' ABIs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from chain.types import Address, to_checksum

_CONTRACTS = Path(__file__).resolve().parent.parent / "contracts"


@dataclass(frozen=True, slots=True)
class SafeContracts:
    """The canonical contracts of one Safe version. Their addresses are the same on every chain, but not every chain has them.

    `proxy_code_hash` is the keccak-256 of the runtime code of every proxy that this version's factory creates.
    """

    version: str
    registered: bool
    singletons: tuple[Address, ...]
    proxy_factory: Address
    proxy_code_hash: str
    fallback_handlers: tuple[Address, ...]
    multi_send_call_only: Address


@dataclass(frozen=True, slots=True)
class Deployment:
    """The contracts and the block explorer of one chain."""

    chain_id: int
    name: str
    musd: Address
    payonce: Address
    """The address of PayOnce, the same on every chain; it has code once anyone has deployed the contract there."""
    explorer: str
    safes: Mapping[str, SafeContracts]


@cache
def deployment(chain_id: int) -> Deployment:
    """Return the deployment of a chain. Raises LookupError if `contracts/deployments` does not describe it."""
    path = _CONTRACTS / "deployments" / f"{int(chain_id)}.json"
    if not path.is_file():
        raise LookupError(
            f"There is no contracts/deployments/{int(chain_id)}.json: chain {int(chain_id)} is not supported."
        )
    data: dict[str, Any] = orjson.loads(path.read_bytes())
    safes = {
        version: SafeContracts(
            version=version,
            registered=bool(safe["registered"]),
            singletons=tuple(to_checksum(address) for address in safe["singletons"]),
            proxy_factory=to_checksum(safe["proxyFactory"]),
            proxy_code_hash=safe["proxyCodeHash"],
            fallback_handlers=tuple(to_checksum(address) for address in safe["fallbackHandlers"]),
            multi_send_call_only=to_checksum(safe["multiSendCallOnly"]),
        )
        for version, safe in data["safe"].items()
    }
    return Deployment(
        chain_id=chain_id,
        name=data["name"],
        musd=to_checksum(data["MUSD"]),
        payonce=to_checksum(data["PayOnce"]),
        explorer=data["explorer"].rstrip("/"),
        safes=safes,
    )


@cache
def abi(name: str) -> list[dict[str, Any]]:
    """Return a hand-written ABI from `contracts/abi`: `erc20`, `safe` or `sanctions`."""
    entries: list[dict[str, Any]] = orjson.loads((_CONTRACTS / "abi" / f"{name}.json").read_bytes())
    return entries
