"""The gateway built on Stripe's official client: `raw_request_async` over the service's one aiohttp session.

The onramp is in no stable SDK and in no public specification (github.com/stripe/openapi issue 185), so replies are parsed by models of our
own. Retries are our own, too: the SDK waits up to 80 s by default, and does not retry 429.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiohttp
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ValidationError

from kit.backoff import backoff
from kit.clock import Clock
from kit.entry_limiter import EntryLimiter
from kit.http.problems import Problem
from kit.logs import get_logger
from onramp.stripe.breaker import Breaker, StripeMetrics
from onramp.stripe.errors import StripeMisconfigured, StripeNotFound, StripeUnavailable, from_reply
from onramp.stripe.port import NETWORK_KEYS, CreateSessionParams, StripePage, StripeQuote, StripeSession
from onramp.stripe.replies import ListReply, QuotesReply, SessionReply

if TYPE_CHECKING:
    import stripe

log = get_logger(__name__)
SESSIONS: Final = "/v1/crypto/onramp_sessions"
QUOTES: Final = ("/v1/crypto/onramp_quotes", "/v1/crypto/onramp/quotes")
"""The current path of quotes and the one in older documents; after a 404 on one, the other is tried."""
ATTEMPT_SECONDS: Final = 5.0
DEADLINE_SECONDS: Final = 12.0
PAGE: Final = 100
Reply = TypeVar("Reply", bound=BaseModel)


class OnrampGateway:
    """Calls Stripe's onramp API with retries and a circuit breaker. Implements `onramp.stripe.port.StripeGateway`."""

    def __init__(
        self, client: "stripe.StripeClient", *, version: str | None, clock: Clock, metrics: StripeMetrics
    ) -> None:
        """Store the parts. `client` must not retry by itself; `make_gateway` makes a suitable one."""
        self._client = client
        self._options = {"stripe_version": version} if version else {}
        self._clock = clock
        self._metrics = metrics
        self._breaker = Breaker(clock, metrics)
        self._quotes_path = QUOTES[0]
        self._logged = EntryLimiter(clock)

    async def create_session(self, params: CreateSessionParams, *, idempotency_key: str) -> StripeSession:
        """Create a session and return it, with the wallet locked and currency and network pinned by single-value lists.

        The same key and parameters return the same session. Raises the problems of `onramp.stripe.errors`.
        """
        key = NETWORK_KEYS.get(params.destination_network, params.destination_network)
        fields: dict[str, Any] = {
            "wallet_addresses": {key: params.wallet_address},
            "lock_wallet_address": True,
            "destination_currency": params.destination_currency,
            "destination_network": params.destination_network,
            "destination_currencies": [params.destination_currency],
            "destination_networks": [params.destination_network],
            "source_amount": params.source_amount,
            "source_currency": params.source_currency,
            "metadata": dict(params.metadata),
        }
        if params.email is not None:
            fields["customer_information"] = {"email": params.email}
        reply = await self._call("create", SessionReply, "post", SESSIONS, fields, idempotency_key=idempotency_key)
        return reply.value()

    async def get_session(self, stripe_session_id: str) -> StripeSession:
        """Return a session in its current state. Raises StripeNotFound and the other problems of `onramp.stripe.errors`."""
        if not stripe_session_id.replace("_", "").isalnum() or not stripe_session_id.isascii():
            raise StripeNotFound
        return (await self._call("get", SessionReply, "get", f"{SESSIONS}/{stripe_session_id}", {})).value()

    async def list_completed(self, *, created_gte: int, starting_after: str | None) -> StripePage:
        """Return a page of completed sessions created at or after the Unix second `created_gte`, newest first.

        A session of an unexpected shape is left out and logged. Raises the problems of `onramp.stripe.errors`.
        """
        reply = await self._list({"status": "fulfillment_complete", "created": {"gte": created_gte}}, starting_after)
        sessions = []
        for item in reply.data:
            with suppress(StripeUnavailable):
                sessions.append(self._read(SessionReply, item).value())
        return StripePage(tuple(sessions), reply.after)

    async def find_sessions_created_since(self, created_gte: int) -> AsyncIterator[StripeSession]:
        """Yield every session created at or after the Unix second `created_gte`, newest first.

        Raises StripeUnavailable at one of an unexpected shape, which may be the one searched for, and the other problems of
        `onramp.stripe.errors`.
        """
        after: str | None = None
        while True:
            reply = await self._list({"created": {"gte": created_gte}}, after)
            for item in reply.data:
                yield self._read(SessionReply, item).value()
            after = reply.after
            if after is None:
                return

    async def _list(self, params: dict[str, Any], starting_after: str | None) -> ListReply:
        params = {**params, "limit": PAGE}
        if starting_after is not None:
            params["starting_after"] = starting_after
        return await self._call("list", ListReply, "get", SESSIONS, params)

    async def quotes(
        self, *, source_amount: str, source_currency: str, destination_currency: str, destination_network: str
    ) -> StripeQuote:
        """Return an estimate for one pair of currency and network. Raises the problems of `onramp.stripe.errors`."""
        params = {
            "source_amount": source_amount,
            "source_currency": source_currency,
            "destination_currencies": [destination_currency],
            "destination_networks": [destination_network],
        }
        try:
            reply = await self._call("quotes", QuotesReply, "get", self._quotes_path, params)
        except StripeNotFound:
            self._quotes_path = QUOTES[1] if self._quotes_path == QUOTES[0] else QUOTES[0]
            reply = await self._call("quotes", QuotesReply, "get", self._quotes_path, params)
        quote = reply.value(destination_currency, destination_network)
        if quote is None:
            self._log_error("stripe.no_quote", currency=destination_currency, network=destination_network)
            raise StripeUnavailable(retry_after=60, cause="no quote for the configured pair")
        return quote

    async def ping(self) -> None:
        """Request a listing of one session, to see whether Stripe answers and accepts the key. Raises the problems of `onramp.stripe.errors`."""
        await self._call("ping", ListReply, "get", SESSIONS, {"limit": 1})

    async def _call(
        self,
        name: str,
        model: type[Reply],
        method: str,
        path: str,
        params: dict[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> Reply:
        self._breaker.enter()
        started = self._clock.monotonic()
        attempt = 0
        try:
            while True:
                attempt += 1
                try:
                    reply = await self._attempt(model, method, path, params, idempotency_key)
                except StripeUnavailable as error:
                    self._metrics.calls.labels(name, "unavailable").inc()
                    if error.cause == "rate limited":
                        self._metrics.rate_limited.inc()
                    if error.other_shape and name == "get":
                        # Only this object cannot be parsed: Stripe works, and other buyers can be served.
                        self._breaker.succeeded()
                        raise
                    wait = max(
                        error.retry_after if error.cause == "rate limited" else 0,
                        backoff(attempt, base=0.2, cap=2.0, random=_RANDOM),
                    )
                    spent = self._clock.monotonic() - started
                    if error.stored_failure or error.retry_after >= 60 or spent + wait + 1 > DEADLINE_SECONDS:
                        self._breaker.failed()
                        raise
                    await self._clock.sleep(wait)
                    continue
                except Problem as error:
                    self._breaker.succeeded()
                    self._metrics.calls.labels(name, error.code if error.status == 404 else "refused").inc()
                    if isinstance(error, StripeMisconfigured):
                        self._log_error("stripe.misconfigured", call=name, reason=error.operator)
                    raise
                self._breaker.succeeded()
                self._metrics.calls.labels(name, "ok").inc()
                return reply
        except BaseException:
            self._breaker.abandoned()
            raise
        finally:
            self._metrics.seconds.labels(name).observe(self._clock.monotonic() - started)

    async def _attempt(
        self, model: type[Reply], method: str, path: str, params: dict[str, Any], key: str | None
    ) -> Reply:
        import stripe

        options = dict(self._options) | ({"idempotency_key": key} if key is not None else {})
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                response = await self._client.raw_request_async(method, path, **params, **options)
            return self._read(model, response.data)
        except TimeoutError as error:
            raise StripeUnavailable(outcome_unknown=True, cause="no answer in time") from error
        except stripe.APIConnectionError as error:
            raise StripeUnavailable(outcome_unknown=True, cause="connection failed") from error
        except stripe.StripeError as error:
            raise _problem(error) from error
        except (aiohttp.ClientError, OSError) as error:
            # The SDK passes these through if the connection drops while it reads the body.
            raise StripeUnavailable(outcome_unknown=True, cause="connection dropped") from error
        except (AttributeError, TypeError, ValueError) as error:
            # The SDK raises these for a body that is not Stripe's error object, such as a proxy's error page.
            raise StripeUnavailable(
                outcome_unknown=True, cause=f"an unreadable reply ({type(error).__name__})"
            ) from error

    def _read(self, model: type[Reply], data: Any) -> Reply:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            fields = [".".join(map(str, item["loc"])) for item in error.errors(include_input=False, include_url=False)]
            self._log_error("stripe.unreadable_reply", fields=fields)
            raise StripeUnavailable(outcome_unknown=True, other_shape=True, cause="a reply of another shape") from error

    def _log_error(self, event: str, **facts: Any) -> None:
        """Log an error at most once a minute: every buyer's request would repeat it while the cause lasts."""
        if self._logged.admit((event, str(facts))) is not None:
            log.error(event, **facts)


_RANDOM = random.Random()


def _problem(error: "stripe.StripeError") -> Problem:
    status = error.http_status
    headers: Mapping[str, str] = {str(name).lower(): str(value) for name, value in (error.headers or {}).items()}
    if status is None or 300 <= status < 400 or not isinstance(error.json_body, dict):
        unknown = status is None or status >= 500
        if status == 429:
            return from_reply(429, None, None, None, headers)
        return StripeUnavailable(outcome_unknown=unknown, cause=f"status {status} without a readable body")
    body = error.json_body.get("error")
    detail = body if isinstance(body, dict) else {}
    return from_reply(status, detail.get("code"), detail.get("type"), detail.get("param"), headers)


def make_gateway(
    *,
    secret_key: str,
    api_base: str,
    stripe_version: str | None,
    http: aiohttp.ClientSession,
    clock: Clock,
    registry: CollectorRegistry,
) -> OnrampGateway:
    """Create the gateway over the shared session. The SDK is imported here, so that commands that do not need Stripe start quickly."""
    import stripe
    from stripe import _util

    stripe.enable_telemetry = False
    # With STRIPE_LOG=debug in the environment the SDK prints every reply to stderr, client secrets included.
    _util.STRIPE_LOG = None

    class Client(stripe.AIOHTTPClient):
        """An HTTP client that follows no redirect: the secret key must not be sent to another address."""

        def _get_request_args_kwargs(self, *args: Any, **kwargs: Any) -> Any:
            positional, named = super()._get_request_args_kwargs(*args, **kwargs)
            return positional, {**named, "allow_redirects": False}

    client = stripe.StripeClient(
        secret_key or "sk_not_set",
        base_addresses={"api": api_base.rstrip("/")},
        http_client=Client(timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS), session=http),
        max_network_retries=0,
    )
    return OnrampGateway(client, version=stripe_version, clock=clock, metrics=StripeMetrics(registry))
