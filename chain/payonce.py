"""PayOnce as it is deployed: its pinned code, its address, and the factory that puts it there.

The code has no constructor arguments, and the factory derives the address from the code alone, so the contract has one address on every
chain and for every deployer. `contracts/PayOnce.json` holds the code; the hashes here pin it.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from chain.types import Address, address_bytes, checksum_digits, keccak, to_hex

FACTORY: Final[Address] = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""The deterministic deployment proxy (https://github.com/Arachnid/deterministic-deployment-proxy); both chains of Mezo have it."""
FACTORY_CODE_HASH: Final = "0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989"
"""The keccak-256 of the factory's runtime code, the same on every chain."""
INIT_CODE_HASH: Final = "0x9fd8bbc910149dad3309a6be4be0794dd538fee1e1c21e62cf5c9803bfcc7452"
CODE_HASH: Final = "0x614cbfba7dc341cc9e655f491c7d3275ca451fe3468fa5832f515f29a0e0e915"
"""The keccak-256 of PayOnce's runtime code, which the chain shows at the contract's address."""
_SALT: Final = bytes(32)
_ARTEFACT: Final = Path(__file__).resolve().parent.parent / "contracts" / "PayOnce.json"


def create2_address(factory: Address, salt: bytes, init_code_hash: bytes) -> Address:
    """Return the address at which `factory` deploys code with this hash and salt by CREATE2 (EIP-1014)."""
    return checksum_digits(keccak(b"\xff" + address_bytes(factory) + salt + init_code_hash)[12:].hex())


ADDRESS: Final[Address] = create2_address(FACTORY, _SALT, bytes.fromhex(INIT_CODE_HASH[2:]))


@cache
def artefact() -> dict[str, Any]:
    """Return the contents of `contracts/PayOnce.json`: ABI, code, and how it was compiled. Raises ValueError if its code is not the pinned one."""
    document: dict[str, Any] = orjson.loads(_ARTEFACT.read_bytes())
    for field, pinned in (("bytecode", INIT_CODE_HASH), ("deployedBytecode", CODE_HASH)):
        if to_hex(keccak(bytes.fromhex(document[field].removeprefix("0x")))) != pinned:
            raise ValueError(f"{field} of contracts/PayOnce.json is not the pinned code: restore the file")
    return document


def init_code() -> bytes:
    """Return the pinned code that creates the contract. Raises ValueError if the code in `contracts/PayOnce.json` was changed."""
    return bytes.fromhex(artefact()["bytecode"].removeprefix("0x"))


def deployment_calldata(code: bytes) -> bytes:
    """Return the calldata that makes the factory deploy `code`: the salt of zeros, then the code."""
    return _SALT + code
