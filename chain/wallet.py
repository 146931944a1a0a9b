"""What the chain says of a wallet: its nonce and balances at one block, fees to offer, and everything it ever sent.

All reads of a wallet are pinned to one block number that enough operators have reached, so that they fit each other.
"""

import statistics
from dataclasses import dataclass
from typing import Any

from chain.erc20 import TRANSFER_TOPIC, encode_balance_of, topic_of
from chain.errors import NoAgreement, NodeError
from chain.logs import read_logs
from chain.pool import Pool
from chain.types import Address, BlockRef, data_bytes, hash32, quantity, to_checksum, to_hex

GWEI = 10**9
DEFAULT_CEILING = 500 * GWEI
"""No honest Mezo node asks for more; the floor is about a thousandth of a gwei.

The treasury's own ceiling is far lower.
"""

_WORD = 32


@dataclass(frozen=True, slots=True)
class WalletState:
    """A wallet at the end of block `block_number`: the nonce its next transaction takes, and balances in base units."""

    address: Address
    nonce_latest: int
    balance_token: int
    balance_native: int
    block_number: int


@dataclass(frozen=True, slots=True)
class Fees:
    """What to offer, in wei for each unit of gas. `base_fee` lets the caller see a ceiling that is under the market."""

    max_fee: int
    priority: int
    base_fee: int


@dataclass(frozen=True, slots=True)
class OutgoingTx:
    """A transaction the wallet itself signed, as enough operators tell it."""

    hash: str
    sender: Address
    nonce: int
    to: Address | None
    value: int
    input: bytes
    block: BlockRef


def _word(value: Any) -> int:
    data = data_bytes(value)
    if len(data) != _WORD:
        message = "not one 32-byte word"
        raise ValueError(message)
    return int.from_bytes(data, "big")


async def read_wallet(pool: Pool, address: Address, token: Address) -> WalletState:
    """Nonce and balances at the newest block that enough operators have reached. Raises NoAgreement."""
    await pool.refresh()
    number = pool.agreed_head()
    at = hex(number)
    nonce = await pool.agree("eth_getTransactionCount", [address, at], key=quantity)
    native = await pool.agree("eth_getBalance", [address, at], key=quantity)
    held = await pool.agree("eth_call", [{"to": token, "data": to_hex(encode_balance_of(address))}, at], key=_word)
    return WalletState(to_checksum(address), quantity(nonce.value), _word(held.value), quantity(native.value), number)


async def fees(pool: Pool, *, ceiling: int = DEFAULT_CEILING) -> Fees:
    """Twice the agreed base fee and a tip, never above `ceiling` wei. Raises NoAgreement.

    The tip does not order transactions on Mezo and the base fee moves an eighth a block, so twice the base fee outlives
    five full blocks. Nodes' own suggestions are taken at their median: one node cannot set our price.
    """
    await pool.refresh()
    at = hex(pool.agreed_head())

    def base_of(block: Any) -> int:
        return quantity(block["baseFeePerGas"])

    agreed = await pool.agree("eth_getBlockByNumber", [at, False], key=base_of)
    base = base_of(agreed.value)
    tip = await _median(pool, "eth_maxPriorityFeePerGas")
    # mezod's gas price is never under the floor that its mempool demands.
    price = await _median(pool, "eth_gasPrice")
    max_fee = min(max(2 * base + tip, price), ceiling)
    return Fees(max_fee, min(tip, max_fee), base)


async def _median(pool: Pool, method: str) -> int:
    said: list[int] = []
    for answer in await pool.everywhere(method, []):
        try:
            if answer.error is None:
                said.append(quantity(answer.result))
        except ValueError:
            continue
    if not said:
        raise NoAgreement("silence", detail=f"{method}: no node answered.")
    return statistics.median_low(said)


async def outgoing(pool: Pool, address: Address, from_block: int, to_block: int) -> list[OutgoingTx]:
    """The wallet's own transactions that moved any token in these blocks, lowest nonce first. Raises NoAgreement.

    An empty answer of one node proves nothing, so the logs of every node that covers the range are taken together, from
    at least as many operators as must agree; each transaction is then read with agreement. Transactions that left no
    Transfer event (a plain BTC payment, a revert) are not found here: compare the nonces with the wallet's.
    """
    topics = [TRANSFER_TOPIC, topic_of(address)]
    hashes: set[str] = set()
    answered: set[str] = set()
    await pool.refresh()
    for node in pool.nodes:
        if node.set_aside or not node.usable or not node.covers(to_block):
            continue
        try:
            logs = await read_logs(node.call, None, topics, from_block, to_block)
        except NodeError:
            continue
        answered.add(node.operator)
        hashes |= {hash32(log["transactionHash"]) for log in logs}
    if len(answered) < pool.agreement:
        detail = f"eth_getLogs up to block {to_block}: {len(answered)} of {pool.agreement} operators answered."
        raise NoAgreement("silence", opinions=tuple(answered), detail=detail)
    found = [await _transaction(pool, tx_hash) for tx_hash in sorted(hashes)]
    mine = [tx for tx in found if tx.sender == to_checksum(address)]
    return sorted(mine, key=lambda tx: tx.nonce)


async def _transaction(pool: Pool, tx_hash: str) -> OutgoingTx:
    def parse(raw: Any) -> OutgoingTx:
        if hash32(raw["hash"]) != tx_hash:
            message = "another transaction"
            raise ValueError(message)
        return OutgoingTx(
            hash=tx_hash,
            sender=to_checksum(raw["from"].lower()),
            nonce=quantity(raw["nonce"]),
            to=to_checksum(raw["to"].lower()) if raw["to"] else None,
            value=quantity(raw["value"]),
            input=data_bytes(raw["input"]),
            block=BlockRef(quantity(raw["blockNumber"]), hash32(raw["blockHash"])),
        )

    agreed = await pool.agree("eth_getTransactionByHash", [tx_hash], key=parse)
    assert isinstance(agreed.key, OutgoingTx)
    return agreed.key
