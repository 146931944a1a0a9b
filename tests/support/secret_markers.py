"""A real service whose every secret is a marker, and a recorder of everything that it and its commands print."""

import asyncio
import base64
import json
import os
import secrets
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from eth_account import Account

from chain.types import to_checksum
from onramp.bootstrap.server import start_app
from onramp.config.loader import secret_names
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.host import ROOT
from onramp.dev.stripe.app import SandboxConfig, make_sandbox
from tests.support.command_line import run_onramp

ONRAMP = str(ROOT / ".venv/bin/onramp")
SETTLEMENT = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
DEAD = "http://127.0.0.1:9"
PATIENCE = 60


def mark(name: str) -> str:
    return f"mk{name}{secrets.token_hex(8)}"


def near(secret: str) -> str:
    """Return the secret with one character changed."""
    return secret[:-1] + ("a" if secret[-1] != "a" else "b")


@dataclass(slots=True)
class OutputRecorder:
    """All output, by place, and all secrets that must not be in it."""

    markers: dict[str, str] = field(default_factory=dict)
    texts: list[tuple[str, str]] = field(default_factory=list)

    def secret(self, name: str, value: str) -> str:
        assert len(value) >= 8, name
        self.markers[name] = value
        return value

    def record(self, place: str, text: str, *handed_out: str) -> None:
        """Record a text. `handed_out`: the secrets that may be in this text and in no other."""
        for value in handed_out:
            assert value in text, f"{place} should contain a secret"
            text = text.replace(value, "")
        self.texts.append((place, text))

    def leaks(self) -> list[str]:
        """Return which marker is in which text; never the marker itself."""
        wrong = []
        for name, value in self.markers.items():
            forms = (value, value.encode().hex(), base64.b64encode(value.encode()).decode().rstrip("="))
            wrong += [f"{name} in {place}" for place, text in self.texts if any(form in text for form in forms)]
        return sorted(set(wrong))


@dataclass(slots=True)
class World:
    """A running service, and requests and commands to it."""

    recorder: OutputRecorder
    api: str
    stripe: str
    http: aiohttp.ClientSession
    environment: dict[str, str]
    log: Path

    async def ask(
        self, method: str, path: str, bearer: str | None = None, *, gives: tuple[str, ...] = (), expect: int | None = None, **more: Any
    ) -> tuple[int, Any]:  # fmt: skip
        """Send a request and record the response. `gives`: the fields of the response that contain a secret."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        headers |= more.pop("headers", {})
        async with self.http.request(method, self.api + path, headers=headers, **more) as answer:
            text, status = await answer.text(), answer.status
            response_text = f"{text}\n{dict(answer.headers)}"
        if expect is not None:
            assert status == expect, (method, path, status, text[:300])
        body: Any = json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text
        secrets = [body[name] for name in gives]
        for name, value in zip(gives, secrets, strict=True):
            self.recorder.secret(f"{name} of {path} {len(self.recorder.markers)}", value)
        self.recorder.record(f"the answer to {method} {path.split('?', maxsplit=1)[0]}", response_text, *secrets)
        return status, body

    async def command(
        self, *arguments: str, typed: str = "", gives: tuple[str, ...] = (), key: str = "", **variables: str
    ) -> str:
        """Run `onramp`, record and return what it prints; `gives` as in `ask`, for a JSON document."""
        environment = (
            self.environment | {"ONRAMP_API_KEY": key, "ONRAMP_API_URL": self.api, "LOG_LEVEL": "info"} | variables
        )
        done = await asyncio.to_thread(run_onramp, environment, *arguments, answers=typed)
        out, err = done.stdout, done.stderr
        secrets = [json.loads(out)[name] for name in gives] if gives else []
        for name, value in zip(gives, secrets, strict=True):
            self.recorder.secret(f"{name} of {' '.join(arguments[:2])}", value)
        self.recorder.record(f"what onramp {' '.join(arguments[:2])} prints", out, *secrets)
        self.recorder.record(f"what onramp {' '.join(arguments[:2])} complains", err)
        return out


async def settings_of(
    recorder: OutputRecorder, chain: DevChain, url: str, stripe: str, home: Path, style: str
) -> dict[str, str]:
    """Return the environment of a service whose every secret is a marker."""
    key = bytes.fromhex(recorder.secret("the hot wallet's key", secrets.token_hex(32)))
    password = recorder.secret("HOT_WALLET_PASSWORD", mark("password"))
    keystore = home / "keystore.json"
    keystore.write_text(json.dumps(Account.encrypt(key, password, kdf="pbkdf2", iterations=2000)))
    wallet = to_checksum(Account.from_key(key).address)
    await chain.mint(wallet, 1_000 * 10**18)
    await chain.fund_gas(wallet, 10**18)
    database = urlsplit(url)
    named = {
        name: recorder.secret(name, mark(name.lower().replace("_", "")))
        for name in ("DATABASE_URL", "DATABASE_REPLICA_URL")
    }
    given = {
        "STRIPE_SECRET_KEY": "sk_test_" + recorder.secret("STRIPE_SECRET_KEY", mark("stripe")),
        "STRIPE_WEBHOOK_SECRETS": ",".join("whsec_" + recorder.secret(f"STRIPE_WEBHOOK_SECRETS {n}", mark("hook")) for n in (1, 2)),
        "DATA_KEYS": ",".join(recorder.secret(f"DATA_KEYS {n}", secrets.token_hex(32)) for n in (1, 2)),
        "JWT_SECRETS": recorder.secret("JWT_SECRETS", secrets.token_hex(32)),
        "METRICS_TOKEN": recorder.secret("METRICS_TOKEN", mark("metrics")),
        "REDIS_URL": f"redis://:{recorder.secret('REDIS_URL', mark('redis'))}@127.0.0.1:9/0",
        "SENTRY_DSN": f"http://{recorder.secret('SENTRY_DSN', mark('sentry'))}@127.0.0.1:9/1",
        "MEZO_WS_URLS": f"ws://127.0.0.1:9/{recorder.secret('MEZO_WS_URLS', mark('ws'))}",
        "SETTLEMENT_RPC_URLS": f"usdc=http://127.0.0.1:9/{recorder.secret('SETTLEMENT_RPC_URLS', mark('settlement'))}",
        "SMTP_URL": f"smtp://shop:{recorder.secret('SMTP_URL', mark('smtp'))}@127.0.0.1:9",
        "NOTICE_URLS": f"slack:http://127.0.0.1:9/{recorder.secret('NOTICE_URLS', mark('notice'))}?severity=info",
        "HEARTBEAT_URL": f"http://127.0.0.1:9/{recorder.secret('HEARTBEAT_URL', mark('heartbeat'))}",
        "OIDC_CLIENT_SECRET": recorder.secret("OIDC_CLIENT_SECRET", mark("oidc")),
        "HOT_WALLET_PASSWORD": password,
        "ONRAMP_API_KEY": "ork_" + recorder.secret("ONRAMP_API_KEY", mark("operator")),
        "SPECTRUM_RPC_URLS": f"gamma={chain.proxies[2].url}/{recorder.secret('SPECTRUM_RPC_URLS', mark('spectrum'))}/v1",
        "MEZO_RPC_URLS": ",".join(
            f"{proxy.name}={proxy.url}/rpc?key={recorder.secret(f'MEZO_RPC_URLS {proxy.name}', mark('rpc'))}" for proxy in chain.proxies[:2]
        ),
    } | {
        name: database._replace(netloc=f"{database.username}:{value}@{(database.netloc).rpartition('@')[2]}").geturl()
        for name, value in named.items()
    }  # fmt: skip
    assert set(given) == set(secret_names()), "every secret of the settings is a marker"
    return given | {
        "PATH": os.environ["PATH"], "PORT": str(free_port()), "LOG_LEVEL": "debug", "LOG_FORMAT": style,
        "MAIL_FROM": "orders@shop.example", "STRIPE_PUBLISHABLE_KEY": "pk_test_public", "STRIPE_API_BASE": stripe, "SETTLEMENT_ADDRESS": SETTLEMENT,
        "MUSD_TOKEN_ADDRESS": chain.deployment.musd, "HOT_WALLET_ADDRESS": wallet, "HOT_WALLET_KEYSTORE": str(keystore),
        "COLD_SAFE_ADDRESS": chain.deployment.safe, "COLD_SAFE_OWNERS": ",".join(chain.deployment.safe_owners),
        "RATE_LIMIT_CREATE": "", "RATE_LIMIT_READ": "", "RATE_LIMIT_AUTH": "",
    }  # fmt: skip


@asynccontextmanager
async def world(recorder: OutputRecorder, chain: DevChain, url: str, home: Path, style: str) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        port = free_port()
        stripe = f"http://127.0.0.1:{port}"
        environment = await settings_of(recorder, chain, url, stripe, home, style)
        api = f"http://127.0.0.1:{environment['PORT']}"
        sandbox = make_sandbox(
            SandboxConfig(
                secret_key=environment["STRIPE_SECRET_KEY"], publishable_key="pk_test_public", base_url=stripe,
                webhook_url=f"{api}/api/v1/webhooks/stripe",
                webhook_secrets=tuple(environment["STRIPE_WEBHOOK_SECRETS"].split(",")),
            )
        )  # fmt: skip
        runner, _ = await start_app(sandbox, "127.0.0.1", port)
        stack.push_async_callback(runner.cleanup)
        log = home / "service.log"
        # Started like a service, not forked: libraries read their own variables when they are imported.
        with log.open("wb") as lines:
            process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [ONRAMP, "serve"], env=environment, stdout=lines, stderr=lines, cwd=home
            )
        try:
            http = await stack.enter_async_context(aiohttp.ClientSession())
            made = World(recorder, api, stripe, http, environment, log)
            async with asyncio.timeout(PATIENCE):
                while not await lives(made):
                    assert process.poll() is None, log.read_text()[-3000:]
                    await asyncio.sleep(0.1)
            yield made
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, PATIENCE)
        recorder.record("the log", log.read_text())


async def lives(world: World) -> bool:
    try:
        async with world.http.get(world.api + "/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
