"""Create the worker that sends notifications."""

from collections.abc import Collection

from kit.http.outbound import OutboundClient
from kit.http.outbound_urls import OutboundRules
from onramp.alarms.advice import RUNBOOK
from onramp.bootstrap.container import Container
from onramp.notices.heartbeat import Heartbeat
from onramp.notices.senders import SECONDS, Senders
from onramp.notices.worker import NoticesWorker


def make_notices(container: Container, vital: Collection[str]) -> NoticesWorker:
    """Create the worker `notices`. The heartbeat is sent while every worker in `vital` runs that this deployment needs."""
    settings, rules = container.settings, container.rules
    http = OutboundClient(OutboundRules(development=not settings.is_production), seconds=SECONDS)
    pays = rules.mode == "payout" and rules.hot_wallet is not None
    needed = [worker for worker in vital if worker != "treasury" or pays]
    url = settings.HEARTBEAT_URL.get_secret_value()
    return NoticesWorker(
        container.worker_context,
        settings.notice_targets,
        Senders(http, container.mailer),
        http,
        Heartbeat(url, http, container.database, needed, container.clock),
        settings.NOTICE_RUNBOOK_URL or RUNBOOK,
    )
