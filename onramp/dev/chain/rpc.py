"""JSON-RPC to a development node, which is trusted: no pool, no second opinion."""

from typing import Any

import aiohttp
import orjson

_TIMEOUT = aiohttp.ClientTimeout(total=15)


class DevChainError(Exception):
    """The development chain cannot do what it was asked; the text says why and what to do."""


class RpcError(DevChainError):
    """The node refused a call; the text names the method and gives the node's code and message."""


class Rpc:
    """Calls one development node.

    Each call has a connection of its own, so that the same object serves every event loop: the chain may live on one loop
    and a test that mints on another.
    """

    def __init__(self, url: str) -> None:
        """Nothing is sent yet."""
        self.url = url

    async def __call__(self, method: str, *params: Any) -> Any:
        """The result of one call. Raises RpcError where the node refuses, aiohttp.ClientError where nobody answers."""
        body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.post(self.url, data=body, headers={"Content-Type": "application/json"}) as response,
        ):
            answer = orjson.loads(await response.read())
        if "error" in answer:
            message = f"{method}: {answer['error'].get('message')} ({answer['error'].get('code')})"
            raise RpcError(message)
        return answer["result"]
