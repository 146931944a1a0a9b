"""`python -m onramp.dev.stripe`: run the Stripe sandbox alone, for benchmarks and for trying a client by hand."""

import argparse
import asyncio
import contextlib
import signal
from decimal import Decimal

from aiohttp import web

from onramp.dev.stripe.app import SandboxConfig, make_sandbox


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m onramp.dev.stripe",
        description="A Stripe Crypto Onramp sandbox. State is in memory.",
        epilog="example: python -m onramp.dev.stripe --port 12111 --webhook-url http://127.0.0.1:3001/api/v1/webhooks/stripe --webhook-secret whsec_1",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12111, help="0 for a free port")
    parser.add_argument("--secret-key", default="sk_test_sandbox")
    parser.add_argument("--publishable-key", default="pk_test_sandbox")
    parser.add_argument("--webhook-url", help="URL that receives events; without it none are sent")
    parser.add_argument(
        "--webhook-secret", action="append", default=[], help="repeat it for a second secret, as during a rotation"
    )
    parser.add_argument("--base-url", help="URL of the sandbox, if not host and port")
    parser.add_argument("--older-event-name", action="store_true", help="send crypto.onramp_session_updated")
    parser.add_argument("--api-surface", choices=["v1", "v2"], default="v2")
    parser.add_argument(
        "--clock-scale",
        type=float,
        default=3600.0,
        help="how many seconds of Stripe's retry schedule pass in one real second",
    )
    parser.add_argument("--minimum-amount", type=Decimal)
    parser.add_argument("--maximum-amount", type=Decimal)
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    import socket

    listener = socket.create_server((options.host, options.port), backlog=1024)
    base_url = (options.base_url or f"http://{options.host}:{listener.getsockname()[1]}").rstrip("/")
    config = SandboxConfig(
        secret_key=options.secret_key,
        publishable_key=options.publishable_key,
        webhook_url=options.webhook_url,
        webhook_secrets=tuple(options.webhook_secret or ["whsec_sandbox"]),
        base_url=base_url,
        event_type="crypto.onramp_session_updated" if options.older_event_name else "crypto.onramp_session.updated",
        flat_fields=options.api_surface == "v2",
        clock_scale=options.clock_scale,
        minimum_amount=options.minimum_amount,
        maximum_amount=options.maximum_amount,
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(make_sandbox(config), access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        print(f"stripe: {base_url}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Serve the sandbox until interrupted."""
    options = _arguments()
    loop = None
    with contextlib.suppress(ImportError):
        import uvloop

        loop = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_serve(options))


if __name__ == "__main__":
    main()
