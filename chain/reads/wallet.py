"""Read a wallet: its nonce and balances at one block, the fees to offer, and the transactions that it sent.

All reads of a wallet are at one block that enough providers have reached, so that they are consistent.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chain.abi.erc20 import TRANSFER_TOPIC, address_topic, encode_balance_of
from chain.abi.words import decode_uint
from chain.errors import NoAgreement, NodeError
from chain.node.batch import Batcher
from chain.pool.pool import Pool
from chain.reads.logs import read_logs
from chain.types import ZERO_ADDRESS, Address, BlockRef, data_bytes, hash32, quantity, to_checksum, to_hex
from kit.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WalletState:
    """The state of a wallet at the end of block `block_number`: the nonce of its next transaction, and balances in base units."""

    address: Address
    nonce_latest: int
    balance_token: int
    balance_native: int
    block_number: int


@dataclass(frozen=True, slots=True)
class OutgoingTx:
    """A mined transaction that enough providers agree on; `sender` signed it."""

    hash: str
    sender: Address
    nonce: int
    to: Address | None
    value: int
    input: bytes
    block: BlockRef


def _decode_word(value: Any) -> int:
    return decode_uint(data_bytes(value))


async def read_wallet(pool: Pool, address: Address, token: Address) -> WalletState:
    """Return nonce and balances of a wallet at the newest block that enough providers have reached. Raises NoAgreement."""
    await pool.refresh()
    number = pool.agreed_head()
    block = hex(number)
    balance = {"to": token, "data": to_hex(encode_balance_of(address))}
    batcher = pool.batcher()
    nonce, native, token_balance = await asyncio.gather(
        pool.quorum("eth_getTransactionCount", [address, block], key=quantity, batcher=batcher),
        pool.quorum("eth_getBalance", [address, block], key=quantity, batcher=batcher),
        pool.quorum("eth_call", [balance, block], key=_decode_word, batcher=batcher),
    )
    return WalletState(
        to_checksum(address), quantity(nonce.value), _decode_word(token_balance.value), quantity(native.value), number
    )


def _amount(value: Any) -> int:
    # An address without a contract, such as a mistyped one in a policy, returns no data; that is not a malformed answer.
    return 0 if value == "0x" else _decode_word(value)


async def balance_of(pool: Pool, address: Address, token: Address, block_number: int) -> int:
    """Return the agreed balance in base units at a block; 0 if there is no contract at the token's address. Raises NoAgreement.

    The zero address is the gas token.
    """
    if token == ZERO_ADDRESS:
        return quantity((await pool.quorum("eth_getBalance", [address, hex(block_number)], key=quantity)).value)
    call = {"to": token, "data": to_hex(encode_balance_of(address))}
    return _amount((await pool.quorum("eth_call", [call, hex(block_number)], key=_amount)).value)


async def is_unknown(pool: Pool, tx_hash: str, batcher: Batcher) -> bool:
    """Return whether at least two providers (and CHAIN_AGREEMENT) do not know a transaction, and no node that answers knows it.

    A provider that does not answer is not counted.
    """
    tx_hash = hash32(tx_hash)
    providers = {node.name: node.provider for node in pool.nodes}
    unknown_to: set[str] = set()
    for method in ("eth_getTransactionByHash", "eth_getTransactionReceipt"):
        without: set[str] = set()
        for reply in await pool.broadcast(method, [tx_hash], batcher=batcher):
            if reply.error is not None:
                continue
            if reply.result is not None:
                return False
            without.add(providers[reply.node])
        unknown_to = without if method == "eth_getTransactionByHash" else unknown_to & without
    return len(unknown_to) >= max(2, pool.agreement)


async def outgoing_transactions(pool: Pool, address: Address, from_block: int, to_block: int) -> list[OutgoingTx]:
    """Return the wallet's own transactions that moved any token in these blocks, lowest nonce first. Raises NoAgreement.

    An empty answer of one node proves nothing. So the logs of all nodes that have reached the end of the range are combined, and as many
    providers as must agree must be proven to have the range. The transactions are then read with a quorum, many in one request.
    Transactions without a Transfer event (a plain BTC payment, a revert) are not found here: compare the nonces with the wallet's,
    and use `find_nonce_spender`.
    """
    topics = [TRANSFER_TOPIC, address_topic(address)]
    reported_by: dict[str, set[str]] = {}
    covering: set[str] = set()
    await pool.refresh()
    for node in pool.nodes:
        if node.quarantined or not node.usable or not node.covers(to_block):
            continue
        try:
            covered = await read_logs(node, None, topics, from_block, to_block)
        except NodeError:
            continue
        if covered.covered_from <= from_block:
            covering.add(node.provider)
        for entry in covered.logs:
            try:
                reported_by.setdefault(hash32(entry["transactionHash"]), set()).add(node.provider)
            except (KeyError, ValueError):
                log.warning("chain.log_not_well_formed", node=node.name)
    if len(covering) < pool.agreement:
        detail = (
            f"Blocks {from_block} to {to_block}: {len(covering)} providers are proven to have them, "
            f"{pool.agreement} must be; others do not answer or have pruned them. Add a node with more history."
        )
        raise NoAgreement("silence", answered=tuple(sorted(covering)), detail=detail)
    batcher = pool.batcher()

    async def read(tx_hash: str, providers: set[str]) -> OutgoingTx | None:
        try:
            return (await agreed_transaction(pool, tx_hash, batcher))[0]
        except NoAgreement:
            # A single node may have invented it, which must not block the transactions that others report.
            if len(providers) >= pool.agreement:
                raise
            log.warning("chain.log_of_unknown_transaction", providers=sorted(providers), tx_hash=tx_hash)
            return None

    transactions = await asyncio.gather(
        *(read(tx_hash, providers) for tx_hash, providers in sorted(reported_by.items()))
    )
    mine = [tx for tx in transactions if tx is not None and tx.sender == to_checksum(address)]
    return sorted(mine, key=lambda tx: tx.nonce)


async def find_nonce_spender(pool: Pool, address: Address, nonce: int, from_block: int, to_block: int) -> str | None:
    """Return the hash of the transaction, of any kind, that used the wallet's nonce in these blocks; None if the nodes do not show it.

    It is in the first block after which the account's nonce is higher: a search with about twenty quorum reads.
    """
    address = to_checksum(address)

    async def counted(block: int) -> bool:
        agreed = await pool.quorum("eth_getTransactionCount", [address, hex(block)], key=quantity)
        return quantity(agreed.value) > nonce

    def spenders(block: Any) -> tuple[str, ...]:
        sent = [(to_checksum(tx["from"].lower()), quantity(tx["nonce"]), tx["hash"]) for tx in block["transactions"]]
        return tuple(hash32(tx_hash) for sender, used, tx_hash in sent if (sender, used) == (address, nonce))

    try:
        # Backwards in growing steps: it is probably recent, and nodes prune old state.
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
        log.warning("chain.spender_unavailable", nonce=nonce, reason=str(error))
        return None
    return next(iter(spenders(agreed.value)), None)


async def agreed_transaction(
    pool: Pool, tx_hash: str, batcher: Batcher | None = None
) -> tuple[OutgoingTx, Mapping[str, Any]]:
    """Return a mined transaction that enough providers agree on, and the full JSON-RPC answer of one of them. Raises NoAgreement."""
    tx_hash = hash32(tx_hash)

    def parse(raw: Any) -> OutgoingTx:
        if hash32(raw["hash"]) != tx_hash:
            raise ValueError("another transaction")
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
