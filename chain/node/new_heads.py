"""Announcements of new blocks over WebSocket: a hint to poll now. Polling finds every block without them.

Mezo's node accepts numeric ids and serves the path `/`. A subscription may die without an error, so a silent one is opened again.
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
"""Seconds without a message after which a subscription is ended and opened again: about eight blocks of Mezo."""
FIRST_RETRY: Final = 1.0
MAX_RETRY: Final = 60.0
MAX_MESSAGE: Final = 1024 * 1024
SUBSCRIBE: Final = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}).decode()


class NewHeadListener:
    """Listens to each node until stopped, and calls `wake` for each block that any of them announces. Extra calls do no harm."""

    def __init__(
        self,
        nodes: Sequence[NodeConfig],
        session: aiohttp.ClientSession,
        wake: Callable[[], None],
        *,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        """Prepare to listen to `nodes`, whose URLs start with ws:// or wss://; nothing is opened before `start`."""
        self._nodes = tuple(nodes)
        self._session = session
        self._wake = wake
        self._silence = silence
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start listening, with one task for each node."""
        self._tasks = [asyncio.create_task(self._keep(node), name=f"newHeads:{node.name}") for node in self._nodes]

    async def stop(self) -> None:
        """Stop listening."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, node: NodeConfig) -> None:
        wait = FIRST_RETRY
        while True:
            announced, ended = await self._listen(node)
            wait = FIRST_RETRY if announced else wait
            log.info("chain.new_heads_unavailable", node=node.name, kind=ended, again_in=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, MAX_RETRY)

    async def _listen(self, node: NodeConfig) -> tuple[bool, str]:
        """Return whether a block was announced, and the reason for which the subscription ended. Silence ends it like a closed connection."""
        announced = False
        try:
            async with self._session.ws_connect(node.url, max_msg_size=MAX_MESSAGE, heartbeat=15) as socket:
                await socket.send_str(SUBSCRIBE)
                while True:
                    message = await socket.receive(timeout=self._silence)
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        return announced, message.type.name
                    notification = orjson.loads(message.data)
                    if isinstance(notification, dict) and notification.get("method") == "eth_subscription":
                        announced = True
                        self._wake()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Not the library's text: it contains the URL, and the URL a key.
            return announced, type(error).__name__
