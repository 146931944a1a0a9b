"""What the chain says of a wallet: its nonce and balances at one block, fees to offer, and everything it ever sent.

All reads of a wallet are pinned to one block number that enough providers have reached, so that they fit each other.
"""

import asyncio
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chain.abi.erc20 import TRANSFER_TOPIC, address_topic, encode_balance_of
from chain.abi.words import decode_uint
from chain.errors import MethodMissing, NoAgreement, NodeError
from chain.node.batch import Batcher
from chain.pool.pool import Pool
from chain.pool.quorum import GRACE
from chain.reads.logs import read_logs
from chain.types import ZERO_ADDRESS, Address, BlockRef, data_bytes, hash32, quantity, to_checksum, to_hex
from kit.logs import get_logger

log = get_logger(__name__)
GWEI = 10**9
DEFAULT_CEILING = 500 * GWEI
"""No honest Mezo node asks for more; the floor is about a thousandth of a gwei.

The treasury's own ceiling is far lower.
"""


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
    """What to offer, in wei for each unit of gas: the most that may be paid, and the tip within it."""

    max_fee: int
    priority: int


@dataclass(frozen=True, slots=True)
class OutgoingTx:
    """A mined transaction, as enough providers tell it; `sender` signed it."""

    hash: str
    sender: Address
    nonce: int
    to: Address | None
    value: int
    input: bytes
    block: BlockRef


def _word(value: Any) -> int:
    return decode_uint(data_bytes(value))


async def read_wallet(pool: Pool, address: Address, token: Address) -> WalletState:
    """Nonce and balances at the newest block that enough providers have reached. Raises NoAgreement."""
    await pool.refresh()
    number = pool.agreed_head()
    at = hex(number)
    balance = {"to": token, "data": to_hex(encode_balance_of(address))}
    batcher = pool.batcher()
    nonce, native, held = await asyncio.gather(
        pool.quorum("eth_getTransactionCount", [address, at], key=quantity, batcher=batcher),
        pool.quorum("eth_getBalance", [address, at], key=quantity, batcher=batcher),
        pool.quorum("eth_call", [balance, at], key=_word, batcher=batcher),
    )
    return WalletState(to_checksum(address), quantity(nonce.value), _word(held.value), quantity(native.value), number)


def _amount(value: Any) -> int:
    # A mistyped address in a policy must not make honest nodes look as if they answered nonsense.
    return 0 if value == "0x" else _word(value)


async def balance_of(pool: Pool, address: Address, token: Address, block_number: int) -> int:
    """Base units of a token at a block, as agreed; 0 where no contract stands at its address. Raises NoAgreement.

    The zero address is the gas token.
    """
    if token == ZERO_ADDRESS:
        return quantity((await pool.quorum("eth_getBalance", [address, hex(block_number)], key=quantity)).value)
    call = {"to": token, "data": to_hex(encode_balance_of(address))}
    return _amount((await pool.quorum("eth_call", [call, hex(block_number)], key=_amount)).value)


async def estimate_gas(pool: Pool, sender: Address, to: Address, value: int, data: bytes) -> int:
    """The median of the nodes' estimates and a quarter more: Mezo charges at least half the limit. Raises NoAgreement.

    A plain payment to a Safe's proxy takes more than 21,000, for it emits an event.
    """
    call = {"from": sender, "to": to, "value": hex(value), "data": to_hex(data)}
    middle = statistics.median_high(await _said(pool, "eth_estimateGas", [call]))
    return middle + middle // 4


async def is_unknown(pool: Pool, tx_hash: str, batcher: Batcher) -> bool:
    """Whether at least two providers say they know nothing of a transaction, and no node says it does.

    A provider that does not answer says nothing.
    """
    wanted = hash32(tx_hash)
    providers = {node.name: node.provider for node in pool.nodes}
    silent: set[str] = set()
    for method in ("eth_getTransactionByHash", "eth_getTransactionReceipt"):
        without: set[str] = set()
        for answer in await pool.broadcast(method, [wanted], batcher=batcher):
            if answer.error is not None:
                continue
            if answer.result is not None:
                return False
            without.add(providers[answer.node])
        silent = without if method == "eth_getTransactionByHash" else silent & without
    return len(silent) >= max(2, pool.agreement)


async def suggest_fees(pool: Pool, *, ceiling: int = DEFAULT_CEILING) -> Fees:
    """Twice the agreed base fee and a tip, never above `ceiling` wei. Raises NoAgreement.

    The tip does not order transactions on Mezo and the base fee moves an eighth a block, so twice the base fee outlives
    five full blocks. Nodes' own suggestions are taken at their median: one node cannot set our price.
    """
    await pool.refresh()
    at = hex(pool.agreed_head())

    def base_of(block: Any) -> int:
        return quantity(block["baseFeePerGas"])

    batcher = pool.batcher()
    # mezod's gas price is never under the floor that its mempool demands.
    agreed, tips, prices = await asyncio.gather(
        pool.quorum("eth_getBlockByNumber", [at, False], key=base_of, batcher=batcher),
        _said(pool, "eth_maxPriorityFeePerGas", [], batcher, may_lack=True),
        _said(pool, "eth_gasPrice", [], batcher, may_lack=True),
    )
    base = base_of(agreed.value)
    # A gateway may allow one of the two methods, or neither: a gas price is base fee and tip together, and a tip of zero is
    # enough while blocks are not full.
    price = statistics.median_low(prices) if prices else 0
    tip = statistics.median_low(tips) if tips else max(price - base, 0)
    max_fee = min(max(2 * base + tip, price), ceiling)
    return Fees(max_fee, min(tip, max_fee))


async def _said(
    pool: Pool, method: str, params: list[Any], batcher: Batcher | None = None, *, may_lack: bool = False
) -> list[int]:
    """Return the number that each node answers in time. Raises NoAgreement where none does.

    With `may_lack` the result is empty where nobody answers a number and somebody does not know the method, as a gateway's
    list of allowed methods may leave it out.
    """
    said: list[int] = []
    is_lacking = False
    for answer in await pool.broadcast(method, params, batcher=batcher, patience=GRACE):
        if answer.error is not None:
            is_lacking |= isinstance(answer.error, MethodMissing)
            continue
        try:
            said.append(quantity(answer.result))
        except ValueError:
            continue
    if not said and not (may_lack and is_lacking):
        raise NoAgreement("silence", detail=f"{method}: no node answered.")
    return said


async def outgoing_transactions(pool: Pool, address: Address, from_block: int, to_block: int) -> list[OutgoingTx]:
    """The wallet's own transactions that moved any token in these blocks, lowest nonce first. Raises NoAgreement.

    An empty answer of one node proves nothing, so the logs of every node that has reached the range's end are taken
    together, and as many providers as must agree have to show that they hold the range; the transactions are then read
    with agreement, many in one request. Those that left no Transfer event (a plain BTC payment, a revert) are not found
    here: compare the nonces with the wallet's, and ask `find_nonce_spender`.
    """
    topics = [TRANSFER_TOPIC, address_topic(address)]
    told_by: dict[str, set[str]] = {}
    covering: set[str] = set()
    await pool.refresh()
    for node in pool.nodes:
        if node.quarantined or not node.usable or not node.covers(to_block):
            continue
        try:
            told = await read_logs(node, None, topics, from_block, to_block)
        except NodeError:
            continue
        if told.covered_from <= from_block:
            covering.add(node.provider)
        for entry in told.logs:
            try:
                told_by.setdefault(hash32(entry["transactionHash"]), set()).add(node.provider)
            except (KeyError, ValueError):
                log.warning("chain.log_not_well_formed", node=node.name)
    if len(covering) < pool.agreement:
        detail = (
            f"Blocks {from_block} to {to_block}: {len(covering)} providers have shown that they hold them, "
            f"{pool.agreement} must; others do not answer or have pruned them. A node with history helps."
        )
        raise NoAgreement("silence", answered=tuple(sorted(covering)), detail=detail)
    batcher = pool.batcher()

    async def read(tx_hash: str, providers: set[str]) -> OutgoingTx | None:
        try:
            return (await agreed_transaction(pool, tx_hash, batcher))[0]
        except NoAgreement:
            # One node alone may have made it up, and must not stop the others from being heard.
            if len(providers) >= pool.agreement:
                raise
            log.warning("chain.log_of_unknown_transaction", providers=sorted(providers), tx_hash=tx_hash)
            return None

    found = await asyncio.gather(*(read(tx_hash, providers) for tx_hash, providers in sorted(told_by.items())))
    mine = [tx for tx in found if tx is not None and tx.sender == to_checksum(address)]
    return sorted(mine, key=lambda tx: tx.nonce)


async def find_nonce_spender(pool: Pool, address: Address, nonce: int, from_block: int, to_block: int) -> str | None:
    """The hash of the wallet's transaction that spent a nonce in these blocks, whatever it did; None where nodes do not tell.

    It is in the first block after which the nonce is counted: some twenty questions, each agreed.
    """
    address = to_checksum(address)

    async def counted(block: int) -> bool:
        agreed = await pool.quorum("eth_getTransactionCount", [address, hex(block)], key=quantity)
        return quantity(agreed.value) > nonce

    def spenders(block: Any) -> tuple[str, ...]:
        told = [(to_checksum(tx["from"].lower()), quantity(tx["nonce"]), tx["hash"]) for tx in block["transactions"]]
        return tuple(hash32(tx_hash) for sender, spent, tx_hash in told if (sender, spent) == (address, nonce))

    try:
        # Backwards in growing steps: it is young most likely, and nodes forget what is old.
        low, high, step = to_block, to_block + 1, 1
        while low > from_block and await counted(low):
            low, high, step = max(from_block, low - step), low, 2 * step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if await counted(middle) else (middle, high)
        if high > to_block:
            return None
        agreed = await pool.quorum("eth_getBlockByNumber", [hex(high), True], key=spenders)
    except NoAgreement as error:
        log.warning("chain.spender_not_told", nonce=nonce, reason=str(error))
        return None
    return next(iter(spenders(agreed.value)), None)


async def agreed_transaction(
    pool: Pool, tx_hash: str, batcher: Batcher | None = None
) -> tuple[OutgoingTx, Mapping[str, Any]]:
    """A mined transaction as enough providers tell it, and all that one of them shows of it. Raises NoAgreement."""
    tx_hash = hash32(tx_hash)

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

    agreed = await pool.quorum("eth_getTransactionByHash", [tx_hash], key=parse, batcher=batcher)
    assert isinstance(agreed.key, OutgoingTx)
    return agreed.key, agreed.value
