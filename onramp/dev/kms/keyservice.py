"""Put the development wallet's key into a fake cloud KMS, so that a purchase runs on the real SDKs without an account."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from onramp.dev.chain.anvil import free_port
from onramp.dev.kms.server import DevKey
from onramp.dev.local.wallet import DevWallet


@asynccontextmanager
async def key_service(signer: str, wallet: DevWallet) -> AsyncIterator[tuple[dict[str, Any], dict[str, str]]]:
    """Start the service that `signer` (HOT_WALLET_SIGNER) needs; yield its settings, and the environment variables its SDK reads."""
    match signer:
        case "aws-kms":
            async with _aws(_key(wallet)) as (key_id, sdk_environment):
                yield {"HOT_WALLET_SIGNER": signer, "AWS_KMS_KEY_ID": key_id}, sdk_environment
        case "gcp-kms":
            from onramp.dev.kms.gcp import KEY_VERSION, FakeGcpKms

            service = FakeGcpKms(_key(wallet))
            endpoint = await service.start()
            try:
                yield (
                    {"HOT_WALLET_SIGNER": signer, "GCP_KMS_KEY_VERSION": KEY_VERSION, "GCP_KMS_ENDPOINT": endpoint},
                    {},
                )
            finally:
                await service.stop()
        case _:
            yield {"HOT_WALLET_SIGNER": "local"}, {}


@asynccontextmanager
async def _aws(key: DevKey) -> AsyncIterator[tuple[str, dict[str, str]]]:
    from onramp.dev.kms.aws import KEY_ID, FakeAwsKms

    port = free_port()
    runner = web.AppRunner(FakeAwsKms(key).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    # The environment is the only place that is the same everywhere in which the SDK looks for endpoint, region and credentials.
    sdk_environment = {
        "AWS_ENDPOINT_URL_KMS": f"http://127.0.0.1:{port}",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "development",
        "AWS_SECRET_ACCESS_KEY": "development",
    }
    os.environ.update(sdk_environment)
    try:
        yield KEY_ID, sdk_environment
    finally:
        await runner.cleanup()


def _key(wallet: DevWallet) -> DevKey:
    from eth_account import Account

    return DevKey(bytes(Account.decrypt(json.loads(wallet.keystore.read_text(encoding="utf-8")), wallet.password)))
