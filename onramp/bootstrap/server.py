"""Run the service until it is told to stop: in-flight requests finish, streams close, workers stop between two things."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Sequence
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry

from kit.http.connection import Limits, Peer, Whence
from kit.http.forwarded import Network, client_ip, is_within
from kit.http.server import Runner, most_for
from kit.logs import configure, get_logger
from kit.open_files import raise_limit
from kit.shutdown import end_process_within
from onramp.bootstrap.app import make_app
from onramp.bootstrap.container import Container, open_container
from onramp.bootstrap.errors import StartError
from onramp.bootstrap.listening import listen
from onramp.bootstrap.startup import prepare, refuse_wrong_key
from onramp.bootstrap.workers import background, make_pulse, make_workers
from onramp.config.fields import networks
from onramp.config.settings import Settings
from onramp.limits.rates import client_address
from onramp.ops.routes import make_scraped
from onramp.ops.telemetry import make_errors
from treasury.signers.protocol import SignerError

log = get_logger(__name__)
SHUTDOWN_SECONDS = 12.0
"""How long requests under way are waited for."""
SERVE_ENDS_SECONDS = 24.0
WORK_ENDS_SECONDS = 9.5
"""How long after SIGTERM the process has ended, whatever hangs. `docker stop` kills after 10 s, railway.json after 30."""


def run_with_uvloop(work: Coroutine[Any, Any, None]) -> None:
    """On uvloop where it is installed; it halves the cost of a request. As many files as the system allows may be open."""
    raise_limit()
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


@contextlib.contextmanager
def logged(settings: Settings) -> Iterator[None]:
    """Log as JSON in production, with colours at a terminal; errors go to Sentry, too, where it is set."""
    errors = make_errors(settings)
    style = settings.LOG_FORMAT or ("json" if settings.is_production else "text")
    configure(settings.LOG_LEVEL, style, on_error=None if errors is None else errors.tell)
    try:
        yield
    finally:
        if errors is not None:
            errors.close()


async def until_told(end_within: float | None = None) -> None:
    """Return at SIGTERM or SIGINT; the process ends at most `end_within` seconds later, where given."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows, for development: its loops take no signals
            loop.add_signal_handler(number, told.set)
    await told.wait()
    if end_within is not None:
        end_process_within(end_within)


def _not_of_strangers(record: logging.LogRecord) -> bool:
    """Drop aiohttp's traceback for bytes that are not HTTP: they are answered with 400 and are no error of ours."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


def _whence(trusted: Sequence[Network]) -> Whence:
    """Count peers by address, IPv6 by /64. Trusted proxies are not counted, nor is this machine: a proxy on it carries everybody."""

    def whence(peer: str) -> Peer:
        address = client_ip(peer, (), ())
        if address is not None and is_within(address, trusted):
            return Peer(None, is_proxy=True)
        return Peer(None if address is None or address.is_loopback else client_address(peer, (), ()))

    return whence


async def start_app(
    app: web.Application, host: str, port: int, *, trusted: Sequence[Network] = (), limits: Limits | None = None
) -> tuple[web.AppRunner, int]:
    """Start serving at each name and address of `host`, comma-separated; return the runner to clean up, and the port that was taken.

    `trusted`: networks of proxies in front of the service.
    """
    logging.getLogger("aiohttp.server").addFilter(_not_of_strangers)
    descriptors = raise_limit()
    limits = limits or Limits(most=most_for(descriptors, Limits()))
    runner = Runner(app, limits=limits, whence=_whence(trusted), shutdown_timeout=SHUTDOWN_SECONDS)
    try:
        await runner.setup()
        # A burst is accepted in one step, before any of it can be refused: it has to fit into the descriptors kept for our own use.
        port = await listen(runner, host.split(","), port, backlog=max(16, min(1024, descriptors // 5)))
    except BaseException:
        await runner.cleanup()
        raise
    return runner, port


def spare_the_collector() -> None:
    """Exempt the objects made at the start from garbage collection, and collect less often.

    They live as long as the process; walking them again and again was a tenth of what a create costs (measured).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def serve_forever(settings: Settings, workers: Collection[str]) -> None:
    """Serve the API until told to stop."""

    async def serve() -> None:
        runner, port = await start_app(
            make_app(settings, workers=workers),
            settings.HOST,
            settings.PORT,
            trusted=networks(settings.TRUSTED_PROXIES),
        )
        spare_the_collector()
        log.info("serving", host=settings.HOST, port=port, workers=sorted(workers))
        try:
            await until_told(SERVE_ENDS_SECONDS)
        finally:
            log.info("stopping")
            await runner.cleanup()

    with logged(settings):
        run_with_uvloop(serve())


async def _needs_signer(container: Container) -> None:
    """Raises StartError where the treasury, asked for by name, could never sign: it would pay nobody and look well."""
    if container.rules.hot_wallet is None:
        message = "The treasury pays from no wallet here: DELIVERY_MODE is observe. Nothing was started."
        raise StartError(message)
    if container.signer is None:
        message = f"The treasury has no signer: HOT_WALLET_SIGNER is {container.settings.HOT_WALLET_SIGNER}, and its settings are empty. Nothing was started."
        raise StartError(message)
    try:
        await container.signer.probe()
    except SignerError as error:
        message = f"The treasury's signer cannot be used: {error} Nothing was started."
        raise StartError(message) from error


@contextlib.asynccontextmanager
async def scraped(settings: Settings, registry: CollectorRegistry) -> AsyncIterator[None]:
    """Answer /metrics and /health at METRICS_PORT, where it is set: what workers count, no API elsewhere knows."""
    if not settings.METRICS_PORT:
        yield
        return
    app, trusted = make_scraped(settings, registry), networks(settings.TRUSTED_PROXIES)
    runner, _ = await start_app(app, settings.HOST, settings.METRICS_PORT, trusted=trusted)
    try:
        yield
    finally:
        await runner.cleanup()


def work_forever(settings: Settings, workers: Collection[str], *, named: bool = False) -> None:
    """Run workers alone until told to stop. A treasury that was `named` and cannot sign stops the start with StartError."""

    async def work() -> None:
        async with open_container(settings) as container:
            if "treasury" in workers:
                await (_needs_signer(container) if named else refuse_wrong_key(container))
            await prepare(container)
            runner = make_workers(container, workers)
            async with (
                background(container, runner, make_pulse(container, runner)),
                scraped(settings, container.registry),
            ):
                runner.start()
                spare_the_collector()
                log.info("working", workers=sorted(workers))
                await until_told(WORK_ENDS_SECONDS)
                log.info("stopping")
                await runner.stop()

    with logged(settings):
        run_with_uvloop(work())
