"""Errors at Sentry and traces at a collector, as they arrive on the wire: they contain what helps, and no secret."""

import asyncio
import io
import logging
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pydantic import SecretStr

from kit import logs
from onramp.bootstrap.server import logged
from onramp.config.loader import SettingsError, load
from onramp.dev.chain.anvil import free_port
from tests.support.service import Start
from tests.support.telemetry_receivers import elsewhere, logging_as_before

PARENT = "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_sentry_hears_what_the_log_says_and_no_secret() -> None:
    async with elsewhere() as there:
        settings = load(SENTRY_DSN=SecretStr(f"http://publickey@{there.url}/7"), LOG_LEVEL="error")

        def fail() -> None:
            with logged(settings):
                log = logs.get_logger("some.room")
                log.warning("not.an_error")
                try:
                    local = "sk_test_inALocalVariable"
                    raise RuntimeError(f"https://node.test/path-with-a-key said no to {local}")
                except RuntimeError:
                    log.exception("some.failure", session="ons_1", key="whsec_secret")
                logging.getLogger("sentry_sdk.errors").error("of its own")
                log.critical("some.alarm", request_id="req_1")

        with logging_as_before():
            await asyncio.to_thread(fail)
        failure, alarm = there.errors
        assert (failure["level"], failure["message"], failure["logger"]) == ("error", "some.failure", "some.room")
        assert failure["tags"] == {"session": "ons_1"}
        assert failure["fingerprint"] == ["some.failure"]
        assert "RuntimeError" in failure["extra"]["exception"]
        assert failure["release"].startswith("onramp@")
        assert failure["environment"] == "development"
        assert (alarm["level"], alarm["tags"]) == ("fatal", {"request_id": "req_1"})
        written = b"".join(there.raw)
        assert [
            secret for secret in (b"inALocalVariable", b"path-with-a-key", b"whsec_secret") if secret in written
        ] == []


async def test_a_trace_joins_the_request_with_what_was_asked_for_it(start: Start) -> None:
    async with elsewhere() as there:
        service = await start(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{there.url}/")
        body = {
            "walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
            "sourceAmount": "100",
            "sourceCurrency": "usd",
        }
        headers = {"traceparent": f"00-{PARENT}-00f067aa0ba902b7-01", "X-Request-Id": "req_of_the_dapp"}
        url = f"{service.api}/api/v1/onramp/sessions"
        async with service.http.post(url, json=body, headers=headers) as answer:
            assert answer.status == 201
            secret = (await answer.json())["clientSecret"]
        async with service.http.get(f"{service.api}/health") as answer:
            assert answer.status == 200
        await service.fault("disabled")
        async with service.http.post(url, json=body) as answer:
            assert answer.status == 503
        for _ in range(600):
            if len([span for span in there.spans if span.kind == Span.SPAN_KIND_SERVER]) == 2:
                break
            await asyncio.sleep(0.1)
        made, failed = [span for span in there.spans if span.kind == Span.SPAN_KIND_SERVER]
        assert (made.name, made.trace_id.hex()) == ("POST /api/v1/onramp/sessions", PARENT)
        facts = {fact.key: fact.value for fact in made.attributes}
        assert facts["http.response.status_code"].int_value == 201
        assert facts["onramp.request_id"].string_value == "req_of_the_dapp"
        assert failed.status.code == Status.STATUS_CODE_ERROR
        asked = [span for span in there.spans if span.parent_span_id == made.span_id]
        assert [span.name for span in asked] == ["POST 127.0.0.1"]
        written = b"".join(span.SerializeToString() for span in there.spans)
        assert secret.encode() not in written
        assert b"sk_test_api" not in written


async def test_a_missing_collector_disturbs_no_request(start: Start) -> None:
    service = await start(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert (await service.create())[0] == 201


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENTRY_DSN", SecretStr("sentry.test/key-without-a-host")),
        ("SENTRY_DSN", SecretStr("https://sentry.test/7")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
    ],
)
def test_an_invalid_address_stops_the_start_and_is_not_shown(name: str, value: Any) -> None:
    with pytest.raises(SettingsError) as refused:
        load(**{name: value})
    log_output = io.StringIO()
    print(refused.value, file=log_output)
    assert name in log_output.getvalue()
    assert "key-without" not in log_output.getvalue()
