"""The consumer of the outbox that plans messages: each event of a change that an endpoint subscribed to becomes a message."""

from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.outbox.service import Change
from onramp.hooks import messages as messages_service
from onramp.hooks import service as hooks_service
from onramp.hooks.derivation import events_of
from onramp.hooks.event_data import data_of
from onramp.hooks.event_types import ALL_TOPICS, wants


class WebhookPlanner:
    """Plans outgoing webhooks. Changes are stored only for the topics that some endpoint's events need."""

    name = hooks_service.CONSUMER

    def __init__(self, explorer: str | None) -> None:
        """Plan messages whose sessions link to the block explorer at the URL `explorer`, if there is one."""
        self._explorer = explorer

    @property
    def topics(self) -> Collection[str]:
        """All topics that have events."""
        return ALL_TOPICS

    async def plan(self, conn: AsyncConnection, changes: Sequence[Change]) -> None:
        """Store the messages that follow from these changes.

        A disabled endpoint gets no deliveries, but its messages are stored, so that `recover` finds them later.
        """
        subscriptions = await hooks_service.subscriptions(conn)
        if not subscriptions:
            return
        planned: list[tuple[messages_service.Message, list[str]]] = []
        for change in changes:
            data = None
            for event in events_of(change.topic, change.old, change.new):
                subscribed = [sub for sub in subscriptions if wants(sub.events, event)]
                if not subscribed:
                    continue
                data = data or data_of(change, self._explorer)
                message = messages_service.render(event, change.subject, change.at, data)
                planned.append((message, [sub.id for sub in subscribed if sub.is_enabled]))
        await messages_service.store(conn, planned)
