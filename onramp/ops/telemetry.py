"""Errors go to Sentry, traces to an OpenTelemetry collector; each only where its address is set.

Sentry is told what the log says, after redaction, and nothing else: its own integrations would add local variables, requests
and URLs, in which keys travel. For the same reason a span names a route or a host, never a path that was asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import web

from kit.http.middleware import REQUEST_ID
from onramp import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from onramp.config.settings import Settings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_LAST_WORD: Final = 3.0
"""Seconds that a stop waits for what is not sent yet."""
_TAGS: Final = ("request_id", "worker", "session", "payout", "transaction", "operation")


class Errors:
    """Sends the log's errors to Sentry, in a thread of its own."""

    def __init__(self, dsn: str, environment: str) -> None:
        """A client of our own, beside whatever else of the process may speak to Sentry."""
        import sentry_sdk

        self._client = sentry_sdk.Client(
            dsn=dsn,
            environment=environment,
            release=f"onramp@{__version__}",
            server_name="",
            default_integrations=False,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
        )

    def tell(self, event: Mapping[str, Any]) -> None:
        """One event of the log, redacted already."""
        rest = dict(event)
        name, level = str(rest.pop("event", "")), rest.pop("level", "error")
        self._client.capture_event(
            {
                "level": "fatal" if level == "critical" else "error",
                "logger": str(rest.pop("logger", "")),
                "message": name,
                # One kind of event is one issue, whatever ids it names.
                "fingerprint": [name],
                "tags": {tag: str(rest.pop(tag)) for tag in _TAGS if tag in rest},
                "extra": rest,
            }
        )

    def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        self._client.close(timeout=_LAST_WORD)


class Traces:
    """Spans of what is asked of us, and within each of what we asked of Stripe and the nodes for it."""

    def __init__(self, endpoint: str, environment: str) -> None:
        """`endpoint`: the collector's base URL for OTLP over HTTP; headers as the OpenTelemetry SDK reads them."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        named = {"service.name": "onramp", "service.version": __version__}
        resource = Resource.create(named | {"deployment.environment.name": environment})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=_LAST_WORD)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("onramp")

    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request inside a span; the caller's `traceparent` is its parent. Routes outside `/api/v1` have none."""
        resource = request.match_info.route.resource
        if resource is None or not resource.canonical.startswith("/api/v1/"):
            return await handler(request)
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(
            {name.lower(): value for name, value in request.headers.items()}
        )
        with self._tracer.start_as_current_span(
            f"{request.method} {resource.canonical}",
            context=parent,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": request.method, "http.route": resource.canonical},
            record_exception=False,
        ) as span:
            response = await handler(request)
            span.set_attribute("http.response.status_code", response.status)
            span.set_attribute("onramp.request_id", request.get(REQUEST_ID, ""))
            if response.status >= 500:
                span.set_status(StatusCode.ERROR)
            return response

    def of_calls(self) -> aiohttp.TraceConfig:
        """For the shared client session: a span for each call that is made while a request is answered."""
        from opentelemetry.trace import SpanKind, StatusCode, get_current_span

        async def start(
            _: aiohttp.ClientSession, context: SimpleNamespace, asked: aiohttp.TraceRequestStartParams
        ) -> None:
            context.span = None
            if get_current_span().get_span_context().is_valid:
                host = asked.url.host or ""
                facts: dict[str, str | int] = {
                    "http.request.method": asked.method,
                    "server.address": host,
                    "server.port": asked.url.port or 0,
                }
                context.span = self._tracer.start_span(f"{asked.method} {host}", kind=SpanKind.CLIENT, attributes=facts)

        async def end(_: aiohttp.ClientSession, context: SimpleNamespace, told: aiohttp.TraceRequestEndParams) -> None:
            span: Span | None = context.span
            if span is not None:
                span.set_attribute("http.response.status_code", told.response.status)
                span.end()

        async def fail(
            _: aiohttp.ClientSession, context: SimpleNamespace, told: aiohttp.TraceRequestExceptionParams
        ) -> None:
            span: Span | None = context.span
            if span is not None:
                span.set_attribute("error.type", type(told.exception).__name__)
                span.set_status(StatusCode.ERROR)
                span.end()

        config = aiohttp.TraceConfig()
        config.on_request_start.append(start)
        config.on_request_end.append(end)
        config.on_request_exception.append(fail)
        return config

    async def close(self) -> None:
        """Send what waits; a collector that is away costs the stop a few seconds at most."""
        await asyncio.to_thread(self._provider.shutdown)


TRACES: Final[web.AppKey[Traces | None]] = web.AppKey("traces")


@web.middleware
async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost middleware, where a collector is set."""
    traces = request.app[TRACES]
    return await handler(request) if traces is None else await traces.around(request, handler)


def make_errors(settings: "Settings") -> Errors | None:
    """Where SENTRY_DSN is set."""
    dsn = settings.SENTRY_DSN.get_secret_value()
    return Errors(dsn, settings.ENVIRONMENT) if dsn else None


def make_traces(settings: "Settings") -> Traces | None:
    """Where OTEL_EXPORTER_OTLP_ENDPOINT is set."""
    endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT
    return Traces(endpoint, settings.ENVIRONMENT) if endpoint else None
