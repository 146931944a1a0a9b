"""`onramp dev`: everything on this machine, ready to buy MUSD with a test card."""

import asyncio
import secrets
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from onramp.bootstrap.app import make_app
from onramp.bootstrap.server import logged, run_with_uvloop, start_app, until_told
from onramp.bootstrap.workers import WORKERS
from onramp.cli.output import Refused
from onramp.config.settings import Settings, load
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from onramp.dev.chain.rpc import DevChainError
from onramp.dev.kms.keyservice import key_service
from onramp.dev.local.api_keys import dev_api_keys
from onramp.dev.local.host import FolderInUseError, locked, taken
from onramp.dev.local.wallet import DevWallet, dev_wallet
from onramp.dev.stripe.app import SandboxConfig, make_sandbox

STOCK: Final = 100_000 * 10**18
GAS: Final = 10**18
HOST: Final = "127.0.0.1"
SETTLEMENT: Final = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
"""Where the sandbox's USDC would go: one of the well-known development accounts."""
START_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Stack:
    """The URLs of a running development stack, an API key of each role, and where its settings stand."""

    api: str
    checkout: str
    docs: str
    metrics: str
    rpc: str
    stripe: str
    viewer: str = field(repr=False)
    operator: str = field(repr=False)
    approver: str = field(repr=False)
    admin: str = field(repr=False)
    environment: Path
    """What the other commands read, as a shell takes it in."""

    def lines(self) -> list[str]:
        """As they are printed: `name: value`, and what to do with them."""
        return [
            *(f"{name}: {getattr(self, name)}" for name in self.__slots__ if name != "environment"),
            f"Commands in another shell find this run after `set -a; . {shlex.quote(str(self.environment))}; set +a`.",
            "Open the checkout page and pay with card 4242 4242 4242 4242. Ctrl-C stops everything.",
        ]


@asynccontextmanager
async def home_of(data: Path | None) -> AsyncIterator[Path]:
    """Where the run keeps its things: the folder given, or one that goes with the run."""
    if data is not None:
        home = data.resolve()
        try:
            home.mkdir(parents=True, exist_ok=True)
            with locked(home):
                yield home
        except FolderInUseError as error:
            message = f"Another `onramp dev` is using the folder {home}. Stop it, or choose another --data; nothing was changed."
            raise Refused(f"onramp: {message}") from error
        return
    home = Path(tempfile.mkdtemp(prefix="onramp-dev-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def running(port: int, data: Path | None) -> AsyncIterator[Stack]:
    """Start node, sandbox and service; stop them in the opposite order."""
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(home_of(data))
        chain = DevChain()
        stack.push_async_callback(chain.stop)
        await chain.start(home / "chain" if data is not None else None)
        wallet = dev_wallet(home)
        if await chain.balance(wallet.address) < STOCK // 10:
            await chain.mint(wallet.address, STOCK)
        await chain.fund_gas(wallet.address, GAS)
        port = port or free_port()
        api = f"http://{HOST}:{port}"
        webhook_secret = "whsec_" + secrets.token_hex(16)
        secret_key, publishable_key = "sk_test_" + secrets.token_hex(12), "pk_test_" + secrets.token_hex(12)
        sandbox_port = kept_port(home / "stripe.port") if data is not None else free_port()
        sandbox_url = f"http://{HOST}:{sandbox_port}"
        sandbox = make_sandbox(
            SandboxConfig(
                secret_key=secret_key,
                publishable_key=publishable_key,
                webhook_url=f"{api}/api/v1/webhooks/stripe",
                webhook_secrets=(webhook_secret,),
                base_url=sandbox_url,
                kept=home / "stripe.db" if data is not None else None,
            )
        )
        await _serve(stack, sandbox, sandbox_port)
        signer, of_sdk = await stack.enter_async_context(key_service(load().HOT_WALLET_SIGNER, wallet))
        settings = dev_settings(
            home,
            port,
            chain,
            wallet,
            sandbox_url,
            secret_key=secret_key,
            publishable_key=publishable_key,
            webhook_secret=webhook_secret,
            signer=signer,
        )
        keys = await dev_api_keys(home, settings)
        environment = kept_environment(home, settings, of_sdk)
        await _serve(stack, make_app(settings, workers=WORKERS), port)
        await _open_for_sale(api)
        yield Stack(
            api=api,
            checkout=f"{api}/checkout",
            docs=f"{api}/docs",
            metrics=f"{api}/metrics",
            rpc=chain.proxies[0].url,
            stripe=sandbox_url,
            **keys,
            environment=environment,
        )


def kept_port(file: Path) -> int:
    """The port of the run before, as buyers' payment pages have it in their addresses; another where it is taken now."""
    port = int(file.read_text(encoding="utf-8")) if file.is_file() else free_port()
    port = free_port() if taken(port) else port
    file.write_text(str(port), encoding="utf-8")
    return port


def kept_environment(home: Path, settings: Settings, of_sdk: dict[str, str]) -> Path:
    """A file of the settings that are no defaults, so that `doctor` and what asks the database can be tried beside this run."""
    given = {name: getattr(settings, name) for name in sorted(settings.model_fields_set)}
    texts = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value) for name, value in given.items()
    }
    file = home / "environment"
    file.touch(mode=0o600)
    file.write_text(
        "".join(f"{name}={shlex.quote(text)}\n" for name, text in (texts | of_sdk).items()), encoding="utf-8"
    )
    return file


def dev_settings(
    home: Path,
    port: int,
    chain: DevChain,
    wallet: DevWallet,
    sandbox_url: str,
    *,
    secret_key: str,
    publishable_key: str,
    webhook_secret: str,
    signer: dict[str, Any],
) -> Settings:
    """Settings that join what was started; what else the environment says stays as it is."""
    return load(
        ENVIRONMENT="development",
        HOST=HOST,
        PORT=port,
        DATABASE_URL=SecretStr(f"sqlite+aiosqlite:///{quote(str(home / 'onramp.db'))}"),
        STRIPE_SECRET_KEY=SecretStr(secret_key),
        STRIPE_PUBLISHABLE_KEY=publishable_key,
        STRIPE_WEBHOOK_SECRETS=SecretStr(webhook_secret),
        STRIPE_API_BASE=sandbox_url,
        CHAIN_ID=CHAIN_ID,
        MEZO_RPC_URLS=SecretStr(",".join(chain.rpc_urls)),
        SPECTRUM_RPC_URLS=SecretStr(""),
        CHAIN_AGREEMENT=2,
        MUSD_TOKEN_ADDRESS=chain.deployment.musd,
        DELIVERY_MODE="payout",
        SETTLEMENT_ADDRESS=SETTLEMENT,
        HOT_WALLET_ADDRESS=wallet.address,
        HOT_WALLET_KEYSTORE=wallet.keystore,
        HOT_WALLET_PASSWORD=SecretStr(wallet.password),
        COLD_SAFE_ADDRESS=chain.deployment.safe,
        COLD_SAFE_OWNERS=",".join(chain.deployment.safe_owners),
        COLD_SAFE_THRESHOLD=3,
        JWT_SECRETS=SecretStr(_kept_secret(home / "jwt.secret")),
        # The checkout page's own, and those of a dApp that is developed beside it.
        ALLOWED_ORIGINS=f"http://{HOST}:{port},http://localhost:{port},{load().ALLOWED_ORIGINS}".rstrip(","),
        **signer,
    )


async def _open_for_sale(api: str) -> None:
    """Wait until the service can sell. Raises DevChainError with what keeps it from that."""
    unwell = "It did not answer."
    async with aiohttp.ClientSession(base_url=api) as http:
        try:
            async with asyncio.timeout(START_SECONDS):
                while True:
                    async with http.get("/ready") as answer:
                        if answer.status == 200:
                            return
                        parts = (await answer.json())["parts"]
                    unwell = "; ".join(f"{part['name']}: {part['detail']}" for part in parts if not part["ok"])
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            message = f"The service could not sell within {START_SECONDS} s. {unwell}"
            raise DevChainError(message) from error


def _kept_secret(path: Path) -> str:
    """A random secret, made at the first start and kept with the data."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32), encoding="utf-8")
    return path.read_text(encoding="utf-8")


async def _serve(stack: AsyncExitStack, app: web.Application, port: int) -> None:
    runner, _ = await start_app(app, HOST, port)
    stack.push_async_callback(runner.cleanup)


def run_dev(port: int, data: Path | None) -> None:
    """Run until told to stop."""

    async def run() -> None:
        try:
            async with running(port, data) as stack:
                for line in stack.lines():
                    print(line, flush=True)
                await until_told()
        except (DevChainError, OSError) as error:
            raise Refused(f"onramp: {error}") from error

    with logged(load(ENVIRONMENT="development")):
        run_with_uvloop(run())
