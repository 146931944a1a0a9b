"""What workers do about a purchase is in the trace of the request that created it, whichever process they run in."""

import asyncio
import io

import structlog

from kit import logs
from onramp.bootstrap.identity import LOGGERS
from onramp.traces.recorder import PurchaseTraces
from tests.support.clocks import OffsetClock
from tests.support.service import Start, replica
from tests.support.telemetry_receivers import elsewhere, logging_as_before

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BODY = {"walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", "sourceAmount": "100", "sourceCurrency": "usd"}


async def test_a_workers_lines_are_spans_under_the_request_that_created_the_purchase(
    start: Start, sqlite_url: str
) -> None:
    before = structlog.get_config()
    async with elsewhere() as collector:
        with logging_as_before():
            logs.configure("info", "json", io.StringIO(), own_loggers=LOGGERS)
            otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.url}/"}
            service = await start(**otel)
            service.sandbox.sender.endpoint.url = f"{service.api}/api/v1/webhooks/stripe"
            made = []
            for flags in ("01", "00"):
                headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-{flags}"}
                url = f"{service.api}/api/v1/onramp/sessions"
                async with service.http.post(url, json=BODY, headers=headers) as answer:
                    made.append(await answer.json())
            async with replica(sqlite_url, service, OffsetClock(), ("inbox",), **otel) as worker:
                assert worker.traces is not None
                recorder = PurchaseTraces(worker.database, worker.traces, worker.clock)
                recorder.start()
                for session in made:
                    path = f"/sandbox/onramp_sessions/{session['payment']['stripeSessionId']}/advance"
                    async with service.http.post(
                        service.stripe + path, json={"status": "fulfillment_complete"}
                    ) as answer:
                        assert answer.status == 200
                async with asyncio.timeout(60):
                    while not any(span.name == "session.payment" for span in collector.spans):
                        await asyncio.sleep(0.1)
                await recorder.stop()
    structlog.configure(**before)
    created = next(span for span in collector.spans if span.name == "POST /api/v1/onramp/sessions")
    work = [span for span in collector.spans if span.name == "session.payment"]
    assert {span.trace_id.hex() for span in (created, *work)} == {TRACE}
    assert {span.parent_span_id for span in work} == {created.span_id}
    facts = [{fact.key: fact.value.string_value for fact in span.attributes} for span in work]
    assert {fact["onramp.session"] for fact in facts} == {made[0]["id"]}, (
        "what the caller does not sample is not recorded"
    )
    assert all(fact["onramp.worker"] == "inbox" for fact in facts)
    assert any(fact.get("onramp.status") == "fulfillment_complete" for fact in facts)
