"""New blocks told over WebSocket: a hint to look now. Polling is the truth, and does not depend on it.

Mezo's node takes numeric ids, serves the path `/`, and a subscription may die in silence: one that says nothing for long is made anew.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp
import orjson

from chain.node.config import NodeConfig
from kit.logs import get_logger

log = get_logger(__name__)
SILENCE_SECONDS: Final = 30.0
"""Eight blocks of Mezo's."""
FIRST_REST: Final = 1.0
MAX_REST: Final = 60.0
MAX_MESSAGE: Final = 1024 * 1024
SUBSCRIBE: Final = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}).decode()


class NewHeadListener:
    """Listens to each node until stopped; `wake` is called for each block that any of them tells of, and may be called for nothing."""

    def __init__(
        self,
        nodes: Sequence[NodeConfig],
        session: aiohttp.ClientSession,
        wake: Callable[[], None],
        *,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        """`nodes` with ws:// or wss:// URLs; nothing is opened before `start`."""
        self._nodes = tuple(nodes)
        self._session = session
        self._wake = wake
        self._silence = silence
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen, to each node in a task of its own."""
        self._tasks = [asyncio.create_task(self._keep(node), name=f"newHeads:{node.name}") for node in self._nodes]

    async def stop(self) -> None:
        """Stop listening; polling finds what is not told any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, node: NodeConfig) -> None:
        rest = FIRST_REST
        while True:
            heard, ended = await self._listen(node)
            rest = FIRST_REST if heard else rest
            log.info("chain.wakeups_lost", node=node.name, kind=ended, again_in=rest)
            await asyncio.sleep(rest)
            rest = min(rest * 2, MAX_REST)

    async def _listen(self, node: NodeConfig) -> tuple[bool, str]:
        """Whether a block was told of, and what ended it: one that falls silent after an hour was as good as one that hangs up."""
        heard = False
        try:
            async with self._session.ws_connect(node.url, max_msg_size=MAX_MESSAGE, heartbeat=15) as socket:
                await socket.send_str(SUBSCRIBE)
                while True:
                    message = await socket.receive(timeout=self._silence)
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        return heard, message.type.name
                    said = orjson.loads(message.data)
                    if isinstance(said, dict) and said.get("method") == "eth_subscription":
                        heard = True
                        self._wake()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # The library's text holds the URL, and the URL a key.
            return heard, type(error).__name__
