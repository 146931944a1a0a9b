"""`python -m onramp.sandbox`: the sandbox alone, for benches and for trying a client by hand."""

import argparse
import asyncio

from aiohttp import web

from onramp.sandbox.app import SandboxConfig, make_sandbox


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="onramp.sandbox", description="A Stripe Crypto Onramp sandbox.")
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--secret-key", default="sk_test_sandbox")
    parser.add_argument("--publishable-key", default="pk_test_sandbox")
    parser.add_argument("--webhook-url")
    parser.add_argument("--webhook-secret", action="append", default=[])
    given = parser.parse_args()
    config = SandboxConfig(
        secret_key=given.secret_key,
        publishable_key=given.publishable_key,
        webhook_url=given.webhook_url,
        webhook_secrets=tuple(given.webhook_secret),
        base_url=f"http://127.0.0.1:{given.port}",
    )

    async def serve() -> None:
        runner = web.AppRunner(make_sandbox(config), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", given.port).start()
        print(f"stripe: {config.base_url}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
