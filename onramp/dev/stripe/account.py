"""One Stripe account and everything that happens to it."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from onramp.dev.stripe.config import SandboxConfig
from onramp.dev.stripe.faults import Faults
from onramp.dev.stripe.kept import Kept
from onramp.dev.stripe.keys import Keys
from onramp.dev.stripe.params import Wanted
from onramp.dev.stripe.session import Session, make
from onramp.dev.stripe.store import Store
from onramp.dev.stripe.walk import NO_EDITS, Edits, path, step
from onramp.dev.stripe.webhooks import Sender


class Sandbox:
    """State, its changes, and the events they make."""

    def __init__(self, config: SandboxConfig) -> None:
        """With what was kept of an earlier run; empty where nothing was."""
        self.config = config
        self._kept = Kept(config.kept)
        self.store = Store()
        for session in self._kept.sessions():
            self.store.add(session)
        self.keys = Keys(config.key_seconds, self._kept)
        self.faults = Faults()
        self.sender = Sender(config)
        self.requests: Counter[str] = Counter()
        """API requests by method and route, the faulty ones included."""
        self.leaks = 0
        """Requests that carried a key to where a redirect had pointed."""
        self._closing = asyncio.Event()

    def create(self, wanted: Wanted) -> Session:
        """A new session; its making sends no event."""
        session = make(wanted, self.config)
        self.store.add(session)
        self._kept.session(session)
        return session

    def walk(
        self, session: Session, target: str, edits: Edits | Mapping[str, Any] = NO_EDITS, how: str = "once"
    ) -> None:
        """Every step up to `target`, an event for each. Raises StripeError, and changes nothing, where no legal way leads there."""
        edits = edits if isinstance(edits, Edits) else Edits(**edits)
        events: list[dict[str, Any]] = []
        for status in path(session["status"], target):
            step(session, status, edits, self.config)
            events.append(self.sender.record(session))
        self._kept.session(session)
        self.sender.send(session, events, how)

    async def pause(self, seconds: float) -> None:
        """Wait, unless the sandbox is closed meanwhile."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    def closing(self) -> None:
        """Let those who wait go."""
        self._closing.set()

    async def close(self) -> None:
        """Stop sending events."""
        await self.sender.close()
        self._kept.close()
