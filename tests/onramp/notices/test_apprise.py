"""A target that only apprise knows: its real package, imported when it is first needed, and stopped waiting for after a while."""

import ast
import asyncio
from datetime import UTC, datetime

import pytest

from kit.http.outbound import OutboundClient
from kit.http.outbound_urls import OutboundRules
from kit.notices.targets import Target, parse_targets
from onramp.dev.local.host import ROOT
from onramp.notices import senders
from onramp.notices.model import Notice, NoticeKind, NoticeStatus
from onramp.notices.senders import Failed, Senders, Sent
from tests.support.notice_receivers import Receivers, receiving

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apprise's own
NOW = datetime(2026, 11, 21, tzinfo=UTC)
NOTICE = Notice(
    id="ntc_1", kind=NoticeKind.RAISED, name="delivery.overdue", subject="ons_1", session_id="ons_1", alarm_id="alm_1",
    target="json-1", severity="page", content={"sentence": "A buyer waits."}, status=NoticeStatus.WAITING, attempts=0,
    error=None, created_at=NOW, due_at=NOW, sent_at=None,
)  # fmt: skip


def target_of(receivers: Receivers, path: str) -> Target:
    (target,) = parse_targets(f"{receivers.url.replace('http', 'json')}{path}")
    return target


async def send(target: Target) -> senders.Result:
    http = OutboundClient(OutboundRules(development=True))
    return await Senders(http, None).send(target, NOTICE, "A buyer waits.", NOW)


async def test_a_notification_arrives_through_the_real_package() -> None:
    async with receiving() as receivers:
        assert await send(target_of(receivers, "/hook")) == Sent()
        (body,) = receivers.bodies["/hook"]
    assert (body["title"], body["message"]) == ("[PAGE] delivery.overdue ons_1", "A buyer waits.")


async def test_a_refusal_and_an_unknown_scheme_are_failures_without_the_url() -> None:
    (unknown,) = parse_targets("nothing-known://token/secret-path")
    result = await send(unknown)
    assert result == Failed("apprise does not know this URL", is_final=True)
    async with receiving() as receivers:
        gone = target_of(receivers, "/gone")
    result = await send(gone)
    assert result == Failed("apprise did not deliver it")


async def test_a_target_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "APPRISE_SECONDS", 0.5)
    async with receiving() as receivers:
        receivers.hanging["/hook"] = asyncio.Event()
        assert await send(target_of(receivers, "/hook")) == Failed("apprise did not finish within 0 s")


def test_no_module_imports_it_before_it_is_needed() -> None:
    """It is optional, and importing it takes a second."""
    texts = [path.read_text() for layer in ("kit", "onramp") for path in (ROOT / layer).rglob("*.py")]
    importing = [node for text in texts if "import apprise" in text for node in ast.parse(text).body]
    names = {alias.name for node in importing if isinstance(node, ast.Import) for alias in node.names}
    assert importing and "apprise" not in names
