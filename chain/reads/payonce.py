"""Read PayOnce: whether its code is at its address, which references are paid, and how many tokens it may move.

Each answer decides about money, so at least two providers must agree on it, even if CHAIN_AGREEMENT is 1.
"""

import asyncio
from collections.abc import Collection
from enum import StrEnum

from chain.abi.erc20 import encode_allowance
from chain.abi.payonce import encode_paid
from chain.abi.words import decode_uint
from chain.node.batch import Batcher
from chain.payonce import CODE_HASH, FACTORY_CODE_HASH
from chain.pool.pool import Pool
from chain.types import Address, data_bytes, keccak, to_checksum, to_hex


class Code(StrEnum):
    """What kind of code an address has: PayOnce, the deployment factory, any other contract, or none."""

    PAYONCE = "payonce"
    FACTORY = "factory"
    OTHER = "other"
    MISSING = "missing"


_KNOWN = {CODE_HASH: Code.PAYONCE, FACTORY_CODE_HASH: Code.FACTORY}


async def read_code(pool: Pool, *addresses: Address) -> list[Code]:
    """Return what kind of code each address has at the newest agreed block. Raises NoAgreement."""
    k = max(2, pool.agreement)
    await pool.refresh(force=True)
    block, batcher = hex(pool.agreed_head(k)), pool.batcher()
    agreed = await asyncio.gather(
        *(
            pool.quorum("eth_getCode", [to_checksum(address), block], k=k, key=data_bytes, batcher=batcher)
            for address in addresses
        )
    )
    codes = [data_bytes(answer.value) for answer in agreed]
    return [_KNOWN.get(to_hex(keccak(code)), Code.OTHER) if code else Code.MISSING for code in codes]


async def read_paid(
    pool: Pool, contract: Address, payer: Address, references: Collection[bytes], block_number: int
) -> dict[bytes, int]:
    """Return for each reference the block in which `payer` paid it, 0 for never, as of the end of block `block_number`.

    The calls go to each provider in JSON-RPC batches of up to a hundred. Raises NoAgreement, also if the address has no code: a missing
    answer is never read as "not paid".
    """
    batcher, k, block = pool.batcher(), max(2, pool.agreement), hex(block_number)

    async def read(reference: bytes) -> int:
        call = {"to": contract, "data": to_hex(encode_paid(payer, reference))}
        return _word((await pool.quorum("eth_call", [call, block], k=k, key=_word, batcher=batcher)).value)

    unique = list(dict.fromkeys(references))
    return dict(zip(unique, await asyncio.gather(*map(read, unique)), strict=True))


async def read_allowance(
    pool: Pool, token: Address, owner: Address, spender: Address, batcher: Batcher | None = None
) -> int:
    """Return how many base units of the owner's tokens `spender` may move, at the newest agreed block. Raises NoAgreement."""
    await pool.refresh()
    k = max(2, pool.agreement)
    call = {"to": token, "data": to_hex(encode_allowance(owner, spender))}
    agreed = await pool.quorum("eth_call", [call, hex(pool.agreed_head(k))], k=k, key=_word, batcher=batcher)
    return _word(agreed.value)


def _word(value: object) -> int:
    return decode_uint(data_bytes(value))
