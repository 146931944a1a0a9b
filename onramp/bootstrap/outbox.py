"""The consumers of the outbox that this process's settings configure."""

from collections.abc import Sequence
from typing import Final

from chain.deployments import deployment
from kit.outbox import service as outbox_service
from onramp.bootstrap.container import Container
from onramp.buyer_mail import planner
from onramp.hooks.planner import WebhookPlanner
from onramp.notices import approvals
from onramp.outbox.worker import Consumer

BY_SETTINGS: Final[Sequence[str]] = (planner.NAME, approvals.NAME)
"""The names of the consumers that exist only if a setting says so. What nobody consumes is not stored."""


def make_consumers(container: Container) -> list[Consumer]:
    """Create the consumers that are configured."""
    consumers: list[Consumer] = [WebhookPlanner(deployment(container.settings.CHAIN_ID).explorer)]
    if container.mailer is not None:
        consumers.append(planner.BuyerMailPlanner(container.clock))
    if targets := container.settings.notice_targets:
        consumers.append(approvals.ApprovalNotices(targets, container.clock))
    return consumers


async def subscribe(container: Container) -> None:
    """Store from now on the changes that the configured consumers want, and no others for those that are not configured."""
    configured = {consumer.name: consumer.topics for consumer in make_consumers(container)}
    async with container.database.read() as conn:
        stored = await outbox_service.topics_of(conn)
    for name in BY_SETTINGS:
        topics = set(configured.get(name, ()))
        if topics != stored.get(name, set()):
            async with container.database.write() as conn:
                await outbox_service.subscribe(conn, name, topics)
