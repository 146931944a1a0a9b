"""Run the service until a signal stops it: requests under way finish, event streams close, workers stop between two steps."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Sequence
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry

from kit.http.connection import ClassifyPeer, Limits, Peer
from kit.http.forwarded import Network, client_ip, is_within
from kit.http.server import ServerRunner, max_connections
from kit.logs import configure, get_logger
from kit.open_files import raise_open_file_limit
from kit.shutdown import exit_after
from onramp import __version__
from onramp.bootstrap.app import make_app
from onramp.bootstrap.container import Container, open_container
from onramp.bootstrap.errors import StartError
from onramp.bootstrap.identity import IDENTITY, LOGGERS, role_of
from onramp.bootstrap.listening import listen
from onramp.bootstrap.startup import prepare, refuse_wrong_key
from onramp.bootstrap.workers import TELLING, TELLING_NICE, WORKERS, background, make_pulse, make_workers
from onramp.config.fields import networks
from onramp.config.settings import Settings
from onramp.limits.rates import client_address
from onramp.ops.routes import make_metrics_app
from onramp.ops.telemetry import make_errors
from treasury.signers.protocol import SignerError

log = get_logger(__name__)
SHUTDOWN_SECONDS = 12.0
"""Seconds that a stop waits for requests under way."""
SERVE_ENDS_SECONDS = 24.0
WORK_ENDS_SECONDS = 9.5
"""Seconds after SIGTERM by which the process has ended, even if something hangs. `docker stop` kills after 10 s, railway.json after 30."""


def run_with_uvloop(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` on uvloop if it is installed, which halves the cost of a request. Before that, raise the limit of open files to the most that is allowed."""
    raise_open_file_limit()
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


@contextlib.contextmanager
def logged(settings: Settings) -> Iterator[None]:
    """Configure logging while the block runs: JSON in production, text otherwise; errors also go to Sentry if SENTRY_DSN is set."""
    errors = make_errors(settings)
    style = settings.LOG_FORMAT or ("json" if settings.is_production else "text")
    on_error = None if errors is None else errors.send
    configure(settings.LOG_LEVEL, style, on_error=on_error, own_loggers=LOGGERS)
    try:
        yield
    finally:
        if errors is not None:
            errors.close()


async def wait_for_signal(end_within: float | None = None) -> None:
    """Return at SIGTERM or SIGINT. If `end_within` is given, the process ends at most so many seconds later."""
    signaled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows, in development: its event loops do not handle signals
            loop.add_signal_handler(number, signaled.set)
    await signaled.wait()
    if end_within is not None:
        exit_after(end_within)


def _is_our_error(record: logging.LogRecord) -> bool:
    """Return whether aiohttp logs an error in our code. Bytes that are not HTTP are answered with 400; their traceback is dropped."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


def _classify_peer(trusted: Sequence[Network]) -> ClassifyPeer:
    """Return the function that says how a connection is counted: by address, IPv6 by /64.

    Trusted proxies are not counted, and neither is this machine, where a proxy may carry all clients.
    """

    def classify(peer: str) -> Peer:
        address = client_ip(peer, (), ())
        if address is not None and is_within(address, trusted):
            return Peer(None, is_proxy=True)
        return Peer(None if address is None or address.is_loopback else client_address(peer, (), ()))

    return classify


async def start_app(
    app: web.Application,
    host: str,
    port: int,
    *,
    second_port: int = 0,
    trusted: Sequence[Network] = (),
    limits: Limits | None = None,
) -> tuple[web.AppRunner, int]:
    """Start serving on each name and address of `host`, comma-separated. Return the runner to clean up, and the port that is used.

    `second_port` serves the same, unless it is 0. `trusted` are the networks of proxies in front of the service.
    """
    logging.getLogger("aiohttp.server").addFilter(_is_our_error)
    open_files = raise_open_file_limit()
    limits = limits or Limits(total=max_connections(open_files, Limits()))
    runner = ServerRunner(
        app,
        limits=limits,
        classify_peer=_classify_peer(trusted),
        identity=IDENTITY,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    try:
        await runner.setup()
        # The system accepts a burst of connections before any can be refused, so it must fit into the descriptors reserved for our own use.
        backlog = max(16, min(1024, open_files // 5))
        port = await listen(runner, host.split(","), port, backlog=backlog)
        if second_port and second_port != port:
            await listen(runner, host.split(","), second_port, backlog=backlog)
    except BaseException:
        await runner.cleanup()
        raise
    return runner, port


def tune_garbage_collection() -> None:
    """Exempt the objects created so far from garbage collection, and collect less often.

    These objects live as long as the process. Visiting them at each collection was a tenth of the cost of a create (measured).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def serve_forever(settings: Settings, workers: Collection[str]) -> None:
    """Serve the API, with `workers` in the same process, until a signal stops it."""

    async def serve() -> None:
        runner, port = await start_app(
            make_app(settings, workers=workers),
            settings.HOST,
            settings.PORT,
            second_port=settings.CONSOLE_PORT if settings.console_is_served else 0,
            trusted=networks(settings.TRUSTED_PROXIES),
        )
        tune_garbage_collection()
        log.info(
            "serving",
            host=settings.HOST,
            port=port,
            workers=sorted(workers),
            version=__version__,
            revision=settings.ONRAMP_REVISION,
        )
        try:
            await wait_for_signal(SERVE_ENDS_SECONDS)
        finally:
            log.info("stopping")
            await runner.cleanup()

    with logged(settings):
        run_with_uvloop(serve())


async def _needs_signer(container: Container) -> None:
    """Raise StartError if the treasury, requested by name, cannot sign: it would pay no buyer and still look healthy."""
    if container.rules.hot_wallet is None:
        raise StartError("The treasury pays from no wallet here: DELIVERY_MODE is observe. Nothing was started.")
    if container.signer is None:
        raise StartError(
            f"The treasury has no signer: HOT_WALLET_SIGNER is {container.settings.HOT_WALLET_SIGNER}, and its settings are empty. Nothing was started."
        )
    try:
        await container.signer.probe()
    except SignerError as error:
        raise StartError(f"The treasury's signer cannot be used: {error} Nothing was started.") from error


@contextlib.asynccontextmanager
async def scraped(settings: Settings, registry: CollectorRegistry) -> AsyncIterator[None]:
    """Serve /metrics and /health on METRICS_PORT, if it is set, while the block runs: only this process knows what its workers count."""
    if not settings.METRICS_PORT:
        yield
        return
    app, trusted = make_metrics_app(settings, registry), networks(settings.TRUSTED_PROXIES)
    runner, _ = await start_app(app, settings.HOST, settings.METRICS_PORT, trusted=trusted)
    try:
        yield
    finally:
        await runner.cleanup()


def work_forever(settings: Settings, workers: Collection[str], *, named: bool = False) -> None:
    """Run workers without the API until a signal stops them. Raises StartError if the treasury was `named` and cannot sign."""

    async def work() -> None:
        async with open_container(settings, role=role_of(workers, WORKERS)) as container:
            if "treasury" in workers:
                await (_needs_signer(container) if named else refuse_wrong_key(container))
            await prepare(container)
            runner = make_workers(container, workers)
            async with (
                background(container, runner, make_pulse(container, runner)),
                scraped(settings, container.registry),
            ):
                if TELLING.issuperset(workers) and container.database.dialect == "postgresql":
                    # SQLite has one writer: a process that waited for the processor with its lock would delay the others.
                    os.nice(TELLING_NICE)
                runner.start()
                tune_garbage_collection()
                log.info("working", workers=sorted(workers), version=__version__, revision=settings.ONRAMP_REVISION)
                await wait_for_signal(WORK_ENDS_SECONDS)
                log.info("stopping")
                await runner.stop()

    with logged(settings):
        run_with_uvloop(work())
