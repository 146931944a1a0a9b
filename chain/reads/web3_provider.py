"""web3 on top of the pool: contract calls use its nodes, its quorum, its budgets, its metrics and its redaction.

Only this module imports web3, which takes a second and 25 MB; `chain.reads.contract` loads it at the first call. These defaults of web3
are left out: `validation` (two extra eth_chainId requests around every eth_call; the pool checks the chain), ENS, attribute
dictionaries, gas estimates, and CCIP-read, with which a contract could make us fetch any URL.
"""

from typing import Any, Final, cast

from web3 import AsyncWeb3
from web3.providers.async_base import AsyncBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from chain.errors import CallReverted, ChainError, NodeError
from chain.pool.pool import Pool
from chain.pool.quorum import Key
from chain.reads.broadcast import broadcast
from chain.types import data_bytes, quantity

MAX_RETURNED: Final = 8 * 1024
"""The most bytes that a contract may return to a quorum read. A Safe with a hundred owners returns 3 kB; decoding 256 kB of addresses takes two seconds."""
_BLOCK_PARAMETER: Final = {
    "eth_call": 1,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
    "eth_getStorageAt": 2,
}
_KEYS: Final[dict[str, Key]] = {
    "eth_call": data_bytes,
    "eth_getBalance": quantity,
    "eth_getCode": data_bytes,
    "eth_getTransactionCount": quantity,
    "eth_getStorageAt": lambda word: data_bytes(word).rjust(32, b"\0"),
}


class AnswerTooLarge(ChainError):
    """A contract returned more than MAX_RETURNED bytes."""


class PoolProvider(AsyncBaseProvider):
    """Passes web3's requests to the pool.

    With `quorum`, reads of state are agreed by `k` providers (CHAIN_AGREEMENT by default), at the newest agreed block instead of `latest`.
    """

    def __init__(self, pool: Pool, *, quorum: bool = False, k: int | None = None) -> None:
        """Send requests to `pool`, which is not closed here."""
        super().__init__()
        self._pool = pool
        self._quorum = quorum
        self._k = k
        self.global_ccip_read_enabled = False

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Send one request and return JSON-RPC's response, from which web3 raises its own error for a revert.

        Any other failure raises the pool's error.
        """
        arguments = list(params or [])
        try:
            result = await self._send(str(method), arguments)
        except CallReverted as error:
            revert = {"code": error.code or 3, "message": error.detail, "data": error.data}
            return cast("RPCResponse", {"jsonrpc": "2.0", "id": 0, "error": revert})
        return cast("RPCResponse", {"jsonrpc": "2.0", "id": 0, "result": result})

    async def _send(self, method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return hex(self._pool.chain_id)
        if method == "eth_sendRawTransaction":
            raw = params[0]
            sent = await broadcast(
                self._pool, bytes(raw) if isinstance(raw, bytes | bytearray) else bytes.fromhex(raw.removeprefix("0x"))
            )
            if not sent.known:
                raise ChainError("; ".join(sent.details) or "No node accepted the transaction.")
            return sent.tx_hash
        place = _BLOCK_PARAMETER.get(method)
        if not self._quorum or place is None:
            return await self._pool.first(method, params)
        if len(params) <= place or params[place] in {None, "latest", "safe", "finalized"}:
            await self._pool.refresh()
            params = [*params[:place], hex(self._pool.agreed_head(self._k))]
        agreed = await self._pool.quorum(method, params, k=self._k, key=_KEYS[method])
        if method == "eth_call" and len(agreed.value) > 2 * MAX_RETURNED + 2:
            raise AnswerTooLarge(f"the contract returned more than {MAX_RETURNED} bytes")
        return agreed.value

    async def is_connected(self, show_traceback: bool = False) -> bool:  # noqa: FBT002 - web3's signature
        """Return whether at least one node reports its newest block; with `show_traceback`, raise NodeError instead of returning False."""
        try:
            await self._pool.first("eth_blockNumber", [])
        except NodeError:
            if show_traceback:
                raise
            return False
        return True


def web3_over(pool: Pool, *, quorum: bool = False, k: int | None = None) -> "AsyncWeb3[PoolProvider]":
    """Return a web3 without middleware that sends its requests to the pool; with `quorum`, `k` providers must agree on what it reads."""
    return AsyncWeb3(PoolProvider(pool, quorum=quorum, k=k), middleware=[])
