"""The Dockerfile builds, and a purchase completes on the image: read-only, as user 10001, without capabilities, signed through the AWS SDK."""

import asyncio
import contextlib
import os
import secrets
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from onramp import __version__
from onramp.bootstrap.server import SERVE_ENDS_SECONDS, start_app
from onramp.bootstrap.workers import WORKERS
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import DevChain
from onramp.dev.kms.keyservice import key_service
from onramp.dev.local.wallet import dev_wallet
from onramp.dev.run import SETTLEMENT
from onramp.dev.stripe.app import SANDBOX, Sandbox, SandboxConfig, make_sandbox
from tests.support.built_image import PACKAGES, BuiltImage, build, make_stand_in, missing_tools, terminate
from tests.support.own_postgres import OwnPostgres

pytestmark = [
    pytest.mark.prove,
    pytest.mark.skipif(bool(missing_tools()), reason=f"the image was not built: {', '.join(missing_tools())} missing"),
]
REVISION = "0123456789abcdef0123456789abcdef01234567"
MAX_MEGABYTES = 250
"""Of the packages with their bytecode, by the sizes of files; 239 when this was written."""
STATUS = "import re; print(*re.findall(r'^(?:CapEff|CapBnd|NoNewPrivs|Uid):\\s+(\\w+)', open('/proc/self/status').read(), re.M))"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuiltImage]:
    folder = tmp_path_factory.mktemp("build")
    make_stand_in(folder)
    build(folder, REVISION)
    built = BuiltImage(folder)
    yield built
    built.close()


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def test_it_holds_what_runs_and_little_else(image: BuiltImage) -> None:
    packages, bytecode = image.root / PACKAGES, image.root / "srv/pycache" / PACKAGES
    megabytes = sum(path.lstat().st_size for folder in (packages, bytecode) for path in _files(folder)) / 2**20
    print(f"\npackages and their bytecode: {megabytes:.0f} MB")
    assert megabytes < MAX_MEGABYTES
    assert not [
        path
        for place in ("opt", "srv", "usr")
        for path in (image.root / place).rglob("pip")
        if (path / "__main__.py").exists()
    ]
    assert not (image.root / "srv/onramp/onramp/dev").exists()
    assert not list((image.root / "srv").rglob("__pycache__"))


def test_every_file_can_be_read_by_a_user_who_owns_none(image: BuiltImage) -> None:
    for place in ("opt/onramp", "srv"):
        for path in _files(image.root / place):
            mode = path.lstat().st_mode
            assert stat.S_ISLNK(mode) or mode & stat.S_IROTH, path
            assert not mode & stat.S_IWOTH or stat.S_ISLNK(mode), path


def test_it_says_what_it_is(image: BuiltImage) -> None:
    assert image.config["User"] == "10001:10001"
    assert image.config["StopSignal"] == "SIGTERM"
    assert image.config["Labels"]["org.opencontainers.image.revision"] == REVISION
    assert image.run("onramp", "--version") == f"onramp {__version__} (revision {REVISION})\n"


def test_it_runs_read_only_and_without_capabilities_on_prepared_bytecode(image: BuiltImage) -> None:
    assert image.run("python", "-c", STATUS).split() == ["10001", "0" * 16, "0" * 16, "1"]
    assert image.run("sh", "-c", "touch /srv/x 2>/dev/null || touch /tmp/x && ls /tmp") == "x\n"
    shown = image.run("python", "-c", "import importlib.util as u; print(u.find_spec('aiohttp.web').cached)").strip()
    assert shown.startswith("/srv/pycache/") and (image.root / shown.lstrip("/")).exists()


@asynccontextmanager
async def _surroundings(folder: Path, api: int) -> AsyncIterator[tuple[dict[str, str], dict[str, str], Sandbox]]:
    """Start chain, Stripe, Postgres and a key service; yield the settings of all processes, the treasury's own, and the sandbox."""
    async with AsyncExitStack() as stack:
        chain = DevChain()
        stack.push_async_callback(chain.stop)
        await chain.start()
        postgres = OwnPostgres(folder / "postgres")
        stack.push_async_callback(postgres.stop)
        await postgres.start()
        port = free_port()
        config = SandboxConfig(
            secret_key="sk_test_" + secrets.token_hex(8),
            publishable_key="pk_test_" + secrets.token_hex(8),
            webhook_url=f"http://127.0.0.1:{api}/api/v1/webhooks/stripe",
            webhook_secrets=("whsec_" + secrets.token_hex(16),),
            base_url=f"http://127.0.0.1:{port}",
        )
        stripe = make_sandbox(config)
        runner, _ = await start_app(stripe, "127.0.0.1", port)
        stack.push_async_callback(runner.cleanup)
        wallet = dev_wallet(folder)
        signer, sdk = await stack.enter_async_context(key_service("aws-kms", wallet))
        await chain.mint(wallet.address, 1_000 * 10**18)
        await chain.fund_gas(wallet.address, 10**18)
        settings = {
            "ENVIRONMENT": "development", "HOST": "127.0.0.1", "PORT": str(api), "DATABASE_URL": postgres.url, "DATA_KEYS": "5a" * 32,
            "JWT_SECRETS": "6b" * 32, "STRIPE_SECRET_KEY": config.secret_key, "STRIPE_PUBLISHABLE_KEY": config.publishable_key,
            "STRIPE_WEBHOOK_SECRETS": config.webhook_secrets[0], "STRIPE_API_BASE": config.base_url, "MEZO_RPC_URLS": ",".join(chain.rpc_urls),
            "SETTLEMENT_ADDRESS": SETTLEMENT, "HOT_WALLET_ADDRESS": wallet.address, "HOT_WALLET_SIGNER": "aws-kms",
            "MUSD_TOKEN_ADDRESS": chain.deployment.musd,
        }  # fmt: skip
        yield settings, {"AWS_KMS_KEY_ID": str(signer["AWS_KMS_KEY_ID"]), **sdk}, stripe[SANDBOX]


async def _get(http: aiohttp.ClientSession, url: str) -> tuple[int, Any]:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with http.get(url) as answer:
            return answer.status, await answer.json()
    return 0, {}


async def test_a_purchase_completes_on_it_and_it_stops_in_time(image: BuiltImage, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    api, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{api}"
    others = ",".join(name for name in WORKERS if name != "treasury")
    async with AsyncExitStack() as stack:
        settings, key, sandbox = await stack.enter_async_context(_surroundings(tmp_path, api))
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        image.run("onramp", "migrate", settings=settings)
        processes = [
            await image.start(log, "onramp", "serve", "--no-workers", settings=settings),
            await image.start(log, "onramp", "work", "--only", others, settings=settings),
            await image.start(log, "onramp", "work", "--only", "treasury", settings=settings | key),
        ]
        try:
            async with asyncio.timeout(120):
                while (await _get(http, f"{url}/ready"))[0] != 200:
                    assert all(process.returncode is None for process in processes), log.read_text()
                    await asyncio.sleep(0.5)
            body = {"walletAddress": "0x" + secrets.token_hex(20), "sourceAmount": "25.00", "sourceCurrency": "usd"}
            async with http.post(f"{url}/api/v1/onramp/sessions", json=body) as answer:
                assert answer.status == 201, await answer.text()
                made = await answer.json()
            paid = sandbox.store.get(made["payment"]["stripeSessionId"])
            sandbox.walk(paid, "fulfillment_complete", {"destination_amount": "25.00"})
            async with asyncio.timeout(120):
                while (await _get(http, f"{url}/api/v1/onramp/sessions/{made['id']}"))[1].get("status") != "completed":
                    assert all(process.returncode is None for process in processes), log.read_text()
                    await asyncio.sleep(0.5)
            began = time.monotonic()
            for process in processes:
                terminate(process)
            assert [await process.wait() for process in processes] == [0, 0, 0]
            assert time.monotonic() - began < SERVE_ENDS_SECONDS + 1
        finally:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
