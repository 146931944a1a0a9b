"""`onramp dev`: start everything on this computer, ready to sell MUSD for a test card."""

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
from onramp.bootstrap.server import logged, run_with_uvloop, start_app, wait_for_signal
from onramp.bootstrap.workers import WORKERS
from onramp.config.loader import load
from onramp.config.settings import Settings
from onramp.dev.allowance import approve_payonce
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from onramp.dev.chain.rpc import DevChainError
from onramp.dev.kms.keyservice import key_service
from onramp.dev.local.api_keys import dev_api_keys
from onramp.dev.local.host import FolderInUseError, lock_folder, port_in_use
from onramp.dev.local.wallet import DevWallet, dev_wallet
from onramp.dev.stripe.app import SandboxConfig, make_sandbox
from onramp.dev.webhooks.receiver import PATH, WebhookReceiver, make_receiver
from onramp.dev.webhooks.registration import RegistrationError, register_receiver

STOCK: Final = 100_000 * 10**18
"""The MUSD that the hot wallet gets, in base units."""
GAS: Final = 10**18
"""The native balance (BTC on Mezo) that the hot wallet gets, in wei."""
HOST: Final = "127.0.0.1"
VITE_PORT: Final = 5173
"""The port on which Vite serves a dApp while it is developed, by default (https://vite.dev/config/server-options)."""
SETTLEMENT: Final = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
"""The address to which the sandbox's USDC would go: one of the well-known development accounts."""
START_SECONDS: Final = 60


class DevStackError(Exception):
    """The development stack cannot start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The URLs of a running development stack, one API key for each role, and the file with its settings."""

    api: str
    checkout: str
    console: str
    docs: str
    metrics: str
    rpc: str
    stripe: str
    webhooks: str
    """Where a receiver shows each webhook that the service has sent."""
    viewer: str = field(repr=False)
    operator: str = field(repr=False)
    approver: str = field(repr=False)
    admin: str = field(repr=False)
    dapp: str = field(repr=False)
    environment: Path
    """The file with the settings as a shell script, for the other commands."""

    def lines(self) -> list[str]:
        """Return the lines to print: `name: value` for each field, then what to do next."""
        return [
            *(f"{name}: {getattr(self, name)}" for name in self.__slots__ if name != "environment"),
            f"Commands in another shell find this run after `set -a; . {shlex.quote(str(self.environment))}; set +a`.",
            "Open the checkout page and pay with card 4242 4242 4242 4242. Ctrl-C stops everything.",
        ]


@asynccontextmanager
async def data_folder(data: Path | None) -> AsyncIterator[Path]:
    """Yield the folder `data`, locked for this run; if `data` is None, a temporary folder that is deleted afterwards.

    Raises DevStackError if another run uses the folder.
    """
    if data is not None:
        home = data.resolve()
        try:
            home.mkdir(parents=True, exist_ok=True)
            with lock_folder(home):
                yield home
        except FolderInUseError as error:
            raise DevStackError(
                f"Another `onramp dev` is using the folder {home}. Stop it, or choose another --data; nothing was changed."
            ) from error
        return
    home = Path(tempfile.mkdtemp(prefix="onramp-dev-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def running(port: int, data: Path | None) -> AsyncIterator[Stack]:
    """Start the node, the Stripe sandbox and the service; stop them in reverse order."""
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(data_folder(data))
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
        sandbox_port = remembered_port(home / "stripe.port") if data is not None else free_port()
        sandbox_url = f"http://{HOST}:{sandbox_port}"
        sandbox = make_sandbox(
            SandboxConfig(
                secret_key=secret_key,
                publishable_key=publishable_key,
                webhook_url=f"{api}/api/v1/webhooks/stripe",
                webhook_secrets=(webhook_secret,),
                base_url=sandbox_url,
                state_file=home / "stripe.db" if data is not None else None,
            )
        )
        await _serve(stack, sandbox, sandbox_port)
        signer, sdk_environment = await stack.enter_async_context(key_service(load().HOT_WALLET_SIGNER, wallet))
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
        await approve_payonce(settings)
        environment = write_environment(home, settings, sdk_environment)
        await _serve(stack, make_app(settings, workers=WORKERS), port)
        await _wait_until_ready(api)
        webhooks = await _receive_webhooks(stack, api, keys["admin"], home, is_kept=data is not None)
        yield Stack(
            api=api,
            checkout=f"{api}/checkout",
            console=f"http://localhost:{port}/console",
            docs=f"{api}/docs",
            metrics=f"{api}/metrics",
            rpc=chain.proxies[0].url,
            stripe=sandbox_url,
            webhooks=webhooks,
            **keys,
            environment=environment,
        )


async def _receive_webhooks(stack: AsyncExitStack, api: str, admin: str, home: Path, *, is_kept: bool) -> str:
    """Start a receiver of the service's webhooks and register it; return the URL of its page."""
    port = remembered_port(home / "webhooks.port") if is_kept else free_port()
    receiver = WebhookReceiver()
    await _serve(stack, make_receiver(receiver), port)
    url = f"http://{HOST}:{port}"
    receiver.secret = await register_receiver(api, admin, url + PATH, home / "webhooks.endpoint")
    return url


def remembered_port(file: Path) -> int:
    """Return the port of the previous run, because open payment pages have it in their URLs; another one if it is in use."""
    port = int(file.read_text(encoding="utf-8")) if file.is_file() else free_port()
    port = free_port() if port_in_use(port) else port
    file.write_text(str(port), encoding="utf-8")
    return port


def write_environment(home: Path, settings: Settings, sdk_environment: dict[str, str]) -> Path:
    """Write the settings that are not defaults to a file, so that `doctor` and other commands can work on this run."""
    values = {name: getattr(settings, name) for name in sorted(settings.model_fields_set)}
    texts = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value) for name, value in values.items()
    }
    file = home / "environment"
    file.touch(mode=0o600)
    file.write_text(
        "".join(f"{name}={shlex.quote(text)}\n" for name, text in (texts | sdk_environment).items()), encoding="utf-8"
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
    """Return settings that connect the started parts; all other settings come from the environment.

    Payouts go through PayOnce, unless the environment sets PAYOUT_CONTRACT, for example to nothing: then they are direct transfers.
    """
    environment = load()
    contract = (
        {} if "PAYOUT_CONTRACT" in environment.model_fields_set else {"PAYOUT_CONTRACT": chain.deployment.payonce}
    )
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
        PUBLIC_RPC_URLS=chain.proxies[0].url,
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
        JWT_SECRETS=SecretStr(_remembered_secret(home / "jwt.secret")),
        CONSOLE="on",
        ALLOWED_ORIGINS=f"{_own_origins(port)},{environment.ALLOWED_ORIGINS}".rstrip(","),
        **contract,
        **signer,
    )


def _own_origins(port: int) -> str:
    """Return the origins of the checkout page and of a dApp that is developed beside it."""
    return ",".join(f"http://{name}:{place}" for name in (HOST, "localhost") for place in (port, VITE_PORT))


async def _wait_until_ready(api: str) -> None:
    """Wait until the service can sell. Raises DevStackError with the failing parts after START_SECONDS."""
    problems = "It did not answer."
    async with aiohttp.ClientSession(base_url=api) as http:
        try:
            async with asyncio.timeout(START_SECONDS):
                while True:
                    async with http.get("/ready") as response:
                        if response.status == 200:
                            return
                        parts = (await response.json())["parts"]
                    problems = "; ".join(f"{part['name']}: {part['detail']}" for part in parts if not part["ok"])
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise DevStackError(f"The service could not sell within {START_SECONDS} s. {problems}") from error


def _remembered_secret(path: Path) -> str:
    """Return a random secret, made at the first start and kept with the data."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32), encoding="utf-8")
    return path.read_text(encoding="utf-8")


async def _serve(stack: AsyncExitStack, app: web.Application, port: int) -> None:
    runner, _ = await start_app(app, HOST, port)
    stack.push_async_callback(runner.cleanup)


def run_dev(port: int, data: Path | None) -> None:
    """Run the development stack until interrupted. Raises DevStackError if something cannot start."""

    async def run() -> None:
        try:
            async with running(port, data) as stack:
                for line in stack.lines():
                    print(line, flush=True)
                await wait_for_signal()
        except (DevChainError, RegistrationError, OSError) as error:
            raise DevStackError(str(error)) from error

    with logged(load(ENVIRONMENT="development")):
        run_with_uvloop(run())
