"""JSON-RPC to a development node, which is trusted: no pool, no quorum."""

from typing import Any

import aiohttp
import orjson

_TIMEOUT = aiohttp.ClientTimeout(total=15)


class DevChainError(Exception):
    """The development chain cannot do what was asked of it; the text says why and what to do."""


class RpcError(DevChainError):
    """The node refused a call; the text names the method and gives the node's code and message."""


class Rpc:
    """Calls one development node.

    Each call opens its own connection, so the same object works on every event loop: the chain may run on one loop
    and a test that mints on another.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    async def __call__(self, method: str, *params: Any) -> Any:
        """Return the result of one call. Raises RpcError if the node refuses it, aiohttp.ClientError if there is no response."""
        body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.post(self.url, data=body, headers={"Content-Type": "application/json"}) as response,
        ):
            answer = orjson.loads(await response.read())
        if "error" in answer:
            raise RpcError(f"{method}: {answer['error'].get('message')} ({answer['error'].get('code')})")
        return answer["result"]
