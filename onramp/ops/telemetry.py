"""Send errors to Sentry and traces to an OpenTelemetry collector, each only if its address is set.

Sentry receives the redacted log events and nothing else: its own integrations would add local variables, requests and URLs, which can
contain keys. For the same reason a span names a route or a host, never a requested path.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import web

from kit.http.middleware.request_id import REQUEST_ID
from onramp import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from onramp.config.settings import Settings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_FLUSH_SECONDS: Final = 3.0
"""Seconds that a stop waits until everything is sent."""
_TAGS: Final = ("request_id", "worker", "session", "payout", "transaction", "operation")


class Errors:
    """Sends errors of the log to Sentry, in the client's own thread."""

    def __init__(self, dsn: str, environment: str) -> None:
        """Create a Sentry client that is independent of any other in the process."""
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

    def send(self, event: Mapping[str, Any]) -> None:
        """Send one log event, which is already redacted."""
        rest = dict(event)
        name, level = str(rest.pop("event", "")), rest.pop("level", "error")
        self._client.capture_event(
            {
                "level": "fatal" if level == "critical" else "error",
                "logger": str(rest.pop("logger", "")),
                "message": name,
                # Events of one kind form one issue, whichever ids they contain.
                "fingerprint": [name],
                "tags": {tag: str(rest.pop(tag)) for tag in _TAGS if tag in rest},
                "extra": rest,
            }
        )

    def close(self) -> None:
        """Send the queued events; take a few seconds at most."""
        self._client.close(timeout=_FLUSH_SECONDS)


class Traces:
    """Records a span for each API request, and inside it one for each call to Stripe or a node."""

    def __init__(self, endpoint: str, environment: str) -> None:
        """Prepare to send spans to `endpoint`, the collector's base URL for OTLP over HTTP.

        The OpenTelemetry SDK reads headers from its own variables.
        """
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        named = {"service.name": "onramp", "service.version": __version__}
        resource = Resource.create(named | {"deployment.environment.name": environment})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=_FLUSH_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("onramp")

    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request inside a span whose parent is the caller's `traceparent`. Routes outside `/api/v1` get no span."""
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

    def client_tracing(self) -> aiohttp.TraceConfig:
        """Return the trace configuration of the shared HTTP client: a span for each call made while a request is handled."""
        from opentelemetry.trace import SpanKind, StatusCode, get_current_span

        async def start(
            _: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams
        ) -> None:
            context.span = None
            if get_current_span().get_span_context().is_valid:
                host = params.url.host or ""
                attributes: dict[str, str | int] = {
                    "http.request.method": params.method,
                    "server.address": host,
                    "server.port": params.url.port or 0,
                }
                context.span = self._tracer.start_span(
                    f"{params.method} {host}", kind=SpanKind.CLIENT, attributes=attributes
                )

        async def end(
            _: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
        ) -> None:
            span: Span | None = context.span
            if span is not None:
                span.set_attribute("http.response.status_code", params.response.status)
                span.end()

        async def fail(
            _: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
        ) -> None:
            span: Span | None = context.span
            if span is not None:
                span.set_attribute("error.type", type(params.exception).__name__)
                span.set_status(StatusCode.ERROR)
                span.end()

        config = aiohttp.TraceConfig()
        config.on_request_start.append(start)
        config.on_request_end.append(end)
        config.on_request_exception.append(fail)
        return config

    def current_parent(self) -> str | None:
        """Return the current span as a W3C `traceparent`; None outside a request, or if its caller chose that it is not sampled."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        parent = carrier.get("traceparent")
        return parent if parent is not None and parent.endswith("-01") else None

    def record(self, name: str, parent: str, at_nanoseconds: int, attributes: Mapping[str, str]) -> None:
        """Record a span without duration under the span that `parent`, a `traceparent`, names."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({"traceparent": parent})
        span = self._tracer.start_span(name, context=context, start_time=at_nanoseconds, attributes=dict(attributes))
        span.end(end_time=at_nanoseconds)

    async def close(self) -> None:
        """Send the queued spans. An unavailable collector delays the stop by a few seconds at most."""
        await asyncio.to_thread(self._provider.shutdown)


TRACES: Final[web.AppKey[Traces | None]] = web.AppKey("traces")


@web.middleware
async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle the request inside a span; the outermost middleware, if a collector is set."""
    traces = request.app[TRACES]
    return await handler(request) if traces is None else await traces.around(request, handler)


def make_errors(settings: "Settings") -> Errors | None:
    """Create the client for Sentry; None if SENTRY_DSN is not set."""
    dsn = settings.SENTRY_DSN.get_secret_value()
    return Errors(dsn, settings.ENVIRONMENT) if dsn else None


def make_traces(settings: "Settings") -> Traces | None:
    """Create the tracer; None if OTEL_EXPORTER_OTLP_ENDPOINT is not set."""
    endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT
    return Traces(endpoint, settings.ENVIRONMENT) if endpoint else None
