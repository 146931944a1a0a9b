"""Read compiled contracts from the npm packages: MUSD as on the Mezo testnet, and Safe 1.4.1."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from eth_abi.abi import encode

from chain.types import keccak
from onramp.dev.chain.rpc import DevChainError
from onramp.dev.local.host import ROOT

_MODULES: Final = ROOT / "node_modules"
_MUSD: Final = _MODULES / "@mezo-org/musd-contracts/deployments/matsnet/MUSD.json"
_SAFE: Final = _MODULES / "@safe-global/safe-contracts/build/artifacts/contracts"


class ArtifactError(DevChainError):
    """A contract's package is missing; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract. `storage` lists the slots that hold values and not mappings; empty if the package has no storage layout."""

    creation: bytes
    runtime: bytes
    storage: tuple[int, ...]


@cache
def _load(path: Path) -> Artifact:
    if not path.is_file():
        raise ArtifactError(
            f"{path.relative_to(ROOT)} is missing: run `make setup`, which takes the contracts from npm."
        )
    data: dict[str, Any] = orjson.loads(path.read_bytes())
    variables = data.get("storageLayout", {}).get("storage", [])
    slots = {int(variable["slot"]) for variable in variables if not variable["type"].startswith("t_mapping")}
    return Artifact(
        creation=bytes.fromhex(data["bytecode"].removeprefix("0x")),
        runtime=bytes.fromhex(data["deployedBytecode"].removeprefix("0x")),
        storage=tuple(sorted(slots)),
    )


def musd() -> Artifact:
    """Return MUSD as on the Mezo testnet. Its runtime code lacks the immutables, which only a deployment fills in."""
    return _load(_MUSD)


def safe(name: str) -> Artifact:
    """Return a contract of Safe 1.4.1 by its path in the package, such as `SafeL2` or `proxies/SafeProxyFactory`."""
    return _load(_SAFE / f"{name}.sol" / f"{name.rsplit('/', 1)[-1]}.json")


def call_data(signature: str, *values: Any) -> str:
    """Return the calldata of a call as 0x hex; `signature` is like `transfer(address,uint256)`, without tuples."""
    types = [name for name in signature[signature.index("(") + 1 : -1].split(",") if name]
    return "0x" + (keccak(signature.encode())[:4] + encode(types, values)).hex()
