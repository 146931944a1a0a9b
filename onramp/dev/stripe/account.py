"""One Stripe account: its state, the changes to it, and the events they cause."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from onramp.dev.stripe.config import SandboxConfig
from onramp.dev.stripe.faults import Faults
from onramp.dev.stripe.idempotency import IdempotencyKeys
from onramp.dev.stripe.lifecycle import NO_EDITS, Edits, apply_status, statuses_between
from onramp.dev.stripe.params import CreateParams
from onramp.dev.stripe.session import Session, new_session
from onramp.dev.stripe.state_file import StateFile
from onramp.dev.stripe.store import Store
from onramp.dev.stripe.webhooks import Sender


class Sandbox:
    """An account with its sessions, idempotency keys, faults and webhook sender."""

    def __init__(self, config: SandboxConfig) -> None:
        """Load the state that an earlier run stored, if any."""
        self.config = config
        self._file = StateFile(config.state_file)
        self.store = Store()
        for session in self._file.load_sessions():
            self.store.add(session)
        self.keys = IdempotencyKeys(config.key_seconds, self._file)
        self.faults = Faults()
        self.sender = Sender(config)
        self.requests: Counter[str] = Counter()
        """The number of API requests by method and route, including those with a fault."""
        self.leaks = 0
        """The number of requests that sent an API key to the target of a redirect."""
        self._closing = asyncio.Event()

    def create(self, params: CreateParams) -> Session:
        """Create a session; this sends no event."""
        session = new_session(params, self.config)
        self.store.add(session)
        self._file.store_session(session)
        return session

    def walk(
        self, session: Session, target: str, edits: Edits | Mapping[str, Any] = NO_EDITS, how: str = "once"
    ) -> None:
        """Move a session step by step to status `target`, with an event for each step.

        Raises StripeError, and changes nothing, if no legal transition leads there.
        """
        edits = edits if isinstance(edits, Edits) else Edits(**edits)
        events: list[dict[str, Any]] = []
        for status in statuses_between(session["status"], target):
            apply_status(session, status, edits, self.config)
            events.append(self.sender.record(session))
        self._file.store_session(session)
        self.sender.send(session, events, how)

    async def pause(self, seconds: float) -> None:
        """Wait; return early if the sandbox closes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    def closing(self) -> None:
        """End every running `pause`, because the sandbox closes."""
        self._closing.set()

    async def close(self) -> None:
        """Stop sending events and close the state file."""
        await self.sender.close()
        self._file.close()
