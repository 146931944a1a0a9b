"""web3 on top of the pool: contract calls share its health, budget, metrics and redaction.

The one module that imports web3; import it where it is used, for it takes a second. Left out of web3's defaults:
`validation` (two extra eth_chainId requests around every eth_call; the pool checks the chain), ENS, attribute
dictionaries, gas estimates, and CCIP-read, with which a contract could make us fetch any URL.
"""

from typing import Any, cast

from web3 import AsyncWeb3
from web3.providers.async_base import AsyncBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from chain.errors import CallReverted, ChainError, NodeError
from chain.pool.pool import Pool
from chain.reads.broadcast import broadcast

_BLOCK_PARAMETER = {
    "eth_call": 1,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
    "eth_getStorageAt": 2,
}


class PoolProvider(AsyncBaseProvider):
    """Hands web3's requests to the pool.

    `agree`: state reads need agreement, at the newest agreed block instead of `latest`.
    """

    def __init__(self, pool: Pool, *, agree: bool = False) -> None:
        """Keep the pool; closing it stays with its owner."""
        super().__init__()
        self._pool = pool
        self._agree = agree
        self.global_ccip_read_enabled = False

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One request. A revert becomes web3's own error; everything else raises the pool's."""
        arguments = list(params or [])
        try:
            result = await self._ask(str(method), arguments)
        except CallReverted as error:
            told = {"code": error.code or 3, "message": error.detail, "data": error.data}
            return cast("RPCResponse", {"jsonrpc": "2.0", "id": 0, "error": told})
        return cast("RPCResponse", {"jsonrpc": "2.0", "id": 0, "result": result})

    async def _ask(self, method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return hex(self._pool.chain_id)
        if method == "eth_sendRawTransaction":
            raw = params[0]
            sent = await broadcast(
                self._pool, bytes(raw) if isinstance(raw, bytes | bytearray) else bytes.fromhex(raw.removeprefix("0x"))
            )
            if not sent.known:
                raise ChainError("; ".join(sent.details) or "No node took the transaction.")
            return sent.tx_hash
        place = _BLOCK_PARAMETER.get(method)
        if not self._agree or place is None:
            return await self._pool.first(method, params)
        if len(params) <= place or params[place] in {None, "latest", "safe", "finalized"}:
            await self._pool.refresh()
            params = [*params[:place], hex(self._pool.agreed_head())]
        return (await self._pool.quorum(method, params)).value

    async def is_connected(self, show_traceback: bool = False) -> bool:  # noqa: FBT002 - web3's signature
        """At least one node tells its newest block."""
        try:
            await self._pool.first("eth_blockNumber", [])
        except NodeError:
            if show_traceback:
                raise
            return False
        return True


def web3_over(pool: Pool, *, agree: bool = False) -> "AsyncWeb3[PoolProvider]":
    """A web3 whose every request goes through the pool, without middleware."""
    return AsyncWeb3(PoolProvider(pool, agree=agree), middleware=[])
