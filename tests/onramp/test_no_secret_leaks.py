"""Every secret is a marker; a real service lives a purchase, logins, orders and failures; and no marker is anywhere it need not be.

Looked through: the whole log of the process, every answer, the metrics, what the commands print, every column of every table. A
secret may stand in the one answer that hands it out, and there it is taken out before the search.
"""

import asyncio
import base64
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import asyncpg
import pyotp
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from chain.types import to_checksum
from onramp.dev.anvil import free_port
from onramp.dev.devchain import DevChain, running
from onramp.dev.machine import ROOT
from onramp.sandbox.app import SandboxConfig, make_sandbox
from onramp.server import start_app
from onramp.settings import secret_names

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(), reason="node packages are not installed (make setup)"
)
ONRAMP = str(ROOT / ".venv/bin/onramp")
SETTLEMENT = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
DEAD = "http://127.0.0.1:9"
PATIENCE = 60


def mark(name: str) -> str:
    return f"mk{name}{secrets.token_hex(8)}"


def near(secret: str) -> str:
    """Wrong by one character."""
    return secret[:-1] + ("a" if secret[-1] != "a" else "b")


@dataclass(slots=True)
class Ears:
    """Everything that was said, by place; and everything that must not have been."""

    markers: dict[str, str] = field(default_factory=dict)
    said: list[tuple[str, str]] = field(default_factory=list)

    def secret(self, name: str, value: str) -> str:
        assert len(value) >= 8, name
        self.markers[name] = value
        return value

    def hear(self, place: str, text: str, *handed_out: str) -> None:
        """`handed_out`: what may stand in this text, and in no other."""
        for value in handed_out:
            assert value in text, f"{place} was to hand something out"
            text = text.replace(value, "")
        self.said.append((place, text))

    def found(self) -> list[str]:
        """Which marker is where; never the marker itself."""
        wrong = []
        for name, value in self.markers.items():
            forms = (value, value.encode().hex(), base64.b64encode(value.encode()).decode().rstrip("="))
            wrong += [f"{name} in {place}" for place, text in self.said if any(form in text for form in forms)]
        return sorted(set(wrong))


@dataclass(slots=True)
class World:
    """A running service, and how to ask it."""

    ears: Ears
    api: str
    stripe: str
    http: aiohttp.ClientSession
    environment: dict[str, str]
    log: Path

    async def ask(
        self, method: str, path: str, bearer: str | None = None, *, gives: tuple[str, ...] = (), expect: int | None = None, **more: Any
    ) -> tuple[int, Any]:  # fmt: skip
        """`gives`: the fields of the answer that hand a secret out."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        headers |= more.pop("headers", {})
        async with self.http.request(method, self.api + path, headers=headers, **more) as answer:
            text, status = await answer.text(), answer.status
            said = f"{text}\n{dict(answer.headers)}"
        if expect is not None:
            assert status == expect, (method, path, status, text[:300])
        body = json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text
        handed = [body[name] for name in gives]
        for name, value in zip(gives, handed, strict=True):
            self.ears.secret(f"{name} of {path} {len(self.ears.markers)}", value)
        self.ears.hear(f"the answer to {method} {path.split('?', maxsplit=1)[0]}", said, *handed)
        return status, body

    async def command(
        self, *arguments: str, typed: str = "", gives: tuple[str, ...] = (), key: str = "", **variables: str
    ) -> str:
        """What `onramp` prints; `gives` as above, of a JSON document."""
        environment = (
            self.environment | {"ONRAMP_API_KEY": key, "ONRAMP_API_URL": self.api, "LOG_LEVEL": "info"} | variables
        )
        process = await asyncio.create_subprocess_exec(
            ONRAMP, *arguments, env=environment, cwd=self.log.parent, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = (data.decode() for data in await process.communicate(typed.encode()))
        handed = [json.loads(out)[name] for name in gives] if gives else []
        for name, value in zip(gives, handed, strict=True):
            self.ears.secret(f"{name} of {' '.join(arguments[:2])}", value)
        self.ears.hear(f"what onramp {' '.join(arguments[:2])} prints", out, *handed)
        self.ears.hear(f"what onramp {' '.join(arguments[:2])} complains", err)
        return out


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with running() as started:
        yield started


async def settings_of(ears: Ears, chain: DevChain, url: str, stripe: str, home: Path, style: str) -> dict[str, str]:
    """The environment of a service each of whose secrets is a marker."""
    key = bytes.fromhex(ears.secret("the hot wallet's key", secrets.token_hex(32)))
    password = ears.secret("HOT_WALLET_PASSWORD", mark("password"))
    keystore = home / "keystore.json"
    keystore.write_text(json.dumps(Account.encrypt(key, password, kdf="pbkdf2", iterations=2000)))
    wallet = to_checksum(Account.from_key(key).address)
    await chain.mint(wallet, 1_000 * 10**18)
    await chain.fund_gas(wallet, 10**18)
    database = urlsplit(url)
    named = {
        name: ears.secret(name, mark(name.lower().replace("_", "")))
        for name in ("DATABASE_URL", "DATABASE_REPLICA_URL")
    }
    given = {
        "STRIPE_SECRET_KEY": "sk_test_" + ears.secret("STRIPE_SECRET_KEY", mark("stripe")),
        "STRIPE_WEBHOOK_SECRETS": ",".join("whsec_" + ears.secret(f"STRIPE_WEBHOOK_SECRETS {n}", mark("hook")) for n in (1, 2)),
        "DATA_KEYS": ",".join(ears.secret(f"DATA_KEYS {n}", secrets.token_hex(32)) for n in (1, 2)),
        "JWT_SECRETS": ears.secret("JWT_SECRETS", secrets.token_hex(32)),
        "METRICS_TOKEN": ears.secret("METRICS_TOKEN", mark("metrics")),
        "REDIS_URL": f"redis://:{ears.secret('REDIS_URL', mark('redis'))}@127.0.0.1:9/0",
        "SENTRY_DSN": f"http://{ears.secret('SENTRY_DSN', mark('sentry'))}@127.0.0.1:9/1",
        "MEZO_WS_URLS": f"ws://127.0.0.1:9/{ears.secret('MEZO_WS_URLS', mark('ws'))}",
        "HOT_WALLET_PASSWORD": password,
        "ONRAMP_API_KEY": "ork_" + ears.secret("ONRAMP_API_KEY", mark("operator")),
        "SPECTRUM_RPC_URLS": f"gamma={chain.proxies[2].url}/{ears.secret('SPECTRUM_RPC_URLS', mark('spectrum'))}/v1",
        "MEZO_RPC_URLS": ",".join(
            f"{proxy.name}={proxy.url}/rpc?key={ears.secret(f'MEZO_RPC_URLS {proxy.name}', mark('rpc'))}" for proxy in chain.proxies[:2]
        ),
    } | {
        name: database._replace(netloc=f"{database.username}:{value}@{(database.netloc).rpartition('@')[2]}").geturl()
        for name, value in named.items()
    }  # fmt: skip
    assert set(given) == set(secret_names()), "every secret of the settings is a marker"
    return given | {
        "PATH": os.environ["PATH"], "PORT": str(free_port()), "LOG_LEVEL": "debug", "LOG_FORMAT": style,
        "STRIPE_PUBLISHABLE_KEY": "pk_test_public", "STRIPE_API_BASE": stripe, "SETTLEMENT_ADDRESS": SETTLEMENT,
        "MUSD_TOKEN_ADDRESS": chain.deployment.musd, "HOT_WALLET_ADDRESS": wallet, "HOT_WALLET_KEYSTORE": str(keystore),
        "COLD_SAFE_ADDRESS": chain.deployment.safe, "COLD_SAFE_OWNERS": ",".join(chain.deployment.safe_owners),
        "RATE_LIMIT_CREATE": "", "RATE_LIMIT_READ": "", "RATE_LIMIT_AUTH": "",
    }  # fmt: skip


@asynccontextmanager
async def world(ears: Ears, chain: DevChain, url: str, home: Path, style: str) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        port = free_port()
        stripe = f"http://127.0.0.1:{port}"
        environment = await settings_of(ears, chain, url, stripe, home, style)
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
        with log.open("wb") as lines:
            process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [ONRAMP, "serve"], env=environment, stdout=lines, stderr=lines, cwd=home
            )
        try:
            http = await stack.enter_async_context(aiohttp.ClientSession())
            made = World(ears, api, stripe, http, environment, log)
            async with asyncio.timeout(PATIENCE):
                while not await lives(made):
                    assert process.poll() is None, log.read_text()[-3000:]
                    await asyncio.sleep(0.1)
            yield made
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, PATIENCE)
        ears.hear("the log", log.read_text())


async def lives(world: World) -> bool:
    try:
        async with world.http.get(world.api + "/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def buy(world: World, wallet: str, email: str) -> None:
    """A whole purchase: asked for, paid, paid out, proved, filed."""
    body = {"walletAddress": wallet, "sourceAmount": "5", "sourceCurrency": "usd", "email": email}
    again = {"headers": {"Idempotency-Key": "a-key-of-enough-length"}, "json": body}
    async with asyncio.timeout(PATIENCE):
        while True:
            async with world.http.post(f"{world.api}/api/v1/onramp/sessions", **again) as answer:
                made = await answer.json(content_type=None)
            if answer.status == 201:
                break
            world.ears.hear("a create that was refused", json.dumps(made))
            await asyncio.sleep(0.3)
    world.ears.secret("the client secret", made["clientSecret"])
    world.ears.secret("the session's hash", parse_qs(urlsplit(made["redirectUrl"]).query)["session_hash"][0])
    world.ears.hear("a create", json.dumps({name: made[name] for name in set(made) - {"clientSecret", "redirectUrl"}}))
    session = f"/api/v1/onramp/sessions/{made['id']}"
    await world.ask("GET", session, expect=200)
    async with world.http.post(
        f"{world.stripe}/sandbox/onramp_sessions/{made['payment']['stripeSessionId']}/advance",
        json={"status": "fulfillment_complete"},
    ) as answer:
        assert answer.status == 200
    async with asyncio.timeout(PATIENCE):
        while (await world.ask("GET", session))[1]["status"] != "completed":
            await asyncio.sleep(0.3)
    await world.ask("GET", session + "/delivery", expect=200)
    await world.ask("GET", session + "/receipt", expect=200)


async def log_in(world: World, key: bytes) -> str:
    account = Account.from_key(key)
    _, asked = await world.ask("POST", "/api/v1/auth/nonce", json={"address": account.address}, expect=200)
    wrong = {"message": asked["message"], "signature": "0x" + "11" * 65}
    await world.ask("POST", "/api/v1/auth/login", json=wrong)
    _, asked = await world.ask("POST", "/api/v1/auth/nonce", json={"address": account.address}, expect=200)
    signature = "0x" + bytes(Account.sign_message(encode_defunct(text=asked["message"]), key).signature).hex()
    body = {"message": asked["message"], "signature": signature}
    _, answer = await world.ask("POST", "/api/v1/auth/login", json=body, gives=("token",), expect=200)
    token: str = answer["token"]
    await world.ask("GET", "/api/v1/onramp/sessions", token, expect=200)
    await world.ask("GET", "/api/v1/onramp/sessions", token, headers={"Accept": "text/csv"}, expect=200)
    await world.ask("GET", "/api/v1/treasury/audit", token, expect=403)
    return token


async def operate(world: World) -> str:
    """Keys, an invitation, a second factor, an order; the admin's key."""
    first = await world.command("keys", "create", "--role", "admin", "--name", "amir", "--json", gives=("secret",))
    admin = json.loads(first)["secret"]
    async with asyncio.timeout(PATIENCE):
        while (await world.ask("GET", "/api/v1/admin/keys", admin))[0] != 200:
            await asyncio.sleep(0.2)
    order = {"role": "approver", "name": "ada", "person": "ada"}
    invitation = {"json": order, "expect": 201}
    _, made = await world.ask("POST", "/api/v1/admin/invitations", admin, gives=("link",), **invitation)
    token = world.ears.secret("the invitation's token", urlsplit(made["link"]).fragment)
    await world.ask("GET", f"/invitation?token={token}")
    _, ada = await world.ask("POST", "/api/v1/invitations/accept", json={"token": token}, gives=("secret",), expect=201)
    await world.ask("POST", "/api/v1/invitations/accept", json={"token": token}, expect=404)
    await world.ask("POST", "/api/v1/invitations/accept", json={"token": token, "more": token}, expect=422)
    _, begun = await world.ask("POST", "/api/v1/keys/me/otp", ada["secret"], gives=("secret",), expect=201)
    code = pyotp.TOTP(begun["secret"])
    now = int(time.time())
    await world.ask("POST", "/api/v1/keys/me/otp/confirm", ada["secret"], json={"code": "000000"})
    await world.ask("POST", "/api/v1/keys/me/otp/confirm", ada["secret"], json={"code": code.at(now)}, expect=200)
    await world.ask("POST", "/api/v1/treasury/pause", ada["secret"], json={"scope": "sweeps", "note": "a look"})
    await world.ask("POST", "/api/v1/treasury/resume", ada["secret"], headers={"X-OTP": code.at(now)})
    path = f"/api/v1/admin/keys/{ada['id']}"
    await world.ask("POST", path + "/rotate", admin, gives=("secret",), expect=200)
    await world.ask("DELETE", path, admin, expect=200)
    for path in ("/keys", "/invitations"):
        await world.ask("GET", "/api/v1/admin" + path, admin, expect=200)
    for path in ("balances", "payouts", "sweeps", "ledger", "policy", "audit", "plan"):
        await world.ask("GET", "/api/v1/treasury/" + path, admin)
    return str(admin)


async def fail(world: World, chain: DevChain, admin: str, token: str, email: str) -> None:
    """Strangers, a Stripe and a node that are unwell, and faults of our own."""
    hook = "/api/v1/webhooks/stripe"
    for header in (
        "",
        "t=1,v1=00",
        f"t={int(time.time())},v1={'ab' * 32}",
        world.environment["STRIPE_WEBHOOK_SECRETS"],
    ):
        await world.ask("POST", hook, data=b"{}", headers={"Stripe-Signature": header}, expect=400)
    for bearer in (near(admin), near(token), "ork_" + "a" * 52, world.environment["METRICS_TOKEN"]):
        await world.ask("GET", "/api/v1/admin/keys", bearer, expect=401)
    await world.ask("GET", f"/api/v1/onramp/sessions/{admin}", expect=404)
    await world.ask("GET", f"/nothing/{admin}?key={token}", expect=404)
    await world.ask("POST", "/api/v1/auth/login", json={"message": token, "signature": token}, expect=401)
    await world.ask("GET", "/metrics", near(world.environment["METRICS_TOKEN"]), expect=401)
    body = {"walletAddress": SETTLEMENT, "sourceAmount": "5", "sourceCurrency": "usd", "email": email}
    said = f"Invalid key {world.environment['STRIPE_SECRET_KEY']} for {email}"
    for fault in (
        {"kind": "error", "count": 1, "status": 400, "code": "some_code", "message": said},
        {"kind": "error", "count": 1, "status": 401, "message": said},
        {"kind": "html", "count": 9},
    ):
        async with world.http.post(f"{world.stripe}/sandbox/faults", json=fault) as answer:
            assert answer.status == 200
        await world.ask("POST", "/api/v1/onramp/sessions", json=body)
        async with world.http.post(f"{world.stripe}/sandbox/faults", json={}) as answer:
            assert answer.status == 200
    chain.proxies[0].down = chain.proxies[2].down = True
    async with asyncio.timeout(PATIENCE):
        while "chain.node_down" not in world.log.read_text():
            await asyncio.sleep(0.2)
    await world.ask("GET", "/ready")
    await world.ask("GET", "/api/health")
    for proxy in chain.proxies:
        proxy.honest()
    await broken(world, admin, token, body)


async def broken(world: World, admin: str, token: str, body: dict[str, str]) -> None:
    """Tables that are not there: faults of the database in the middle of a request, with tracebacks."""
    plain = await asyncpg.connect(world.environment["DATABASE_URL"])
    try:
        for table, method, path, bearer, more in (
            ("privacy_contacts", "POST", "/api/v1/onramp/sessions", None, {"json": body}),
            ("login_nonces", "POST", "/api/v1/auth/nonce", None, {"json": {"address": SETTLEMENT}}),
            ("invitations", "POST", "/api/v1/invitations/accept", None, {"json": {"token": admin}}),
            ("api_key_secrets", "GET", "/api/v1/admin/keys", near(admin), {}),
            ("sessions", "GET", "/api/v1/onramp/sessions", token, {}),
        ):
            await plain.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
            await world.ask(method, path, bearer, expect=500, **more)
            await plain.execute(f"ALTER TABLE {table}_away RENAME TO {table}")
    finally:
        await plain.close()


async def stored(url: str) -> AsyncIterator[tuple[str, str]]:
    """(table, all its rows), of every table."""
    plain = await asyncpg.connect(url)
    try:
        names = await plain.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (name,) in names:
            rows = await plain.fetch(f'SELECT row_to_json(t)::text FROM "{name}" AS t')
            yield name, "\n".join(row[0] for row in rows)
    finally:
        await plain.close()


async def commands(world: World, admin: str, email: str) -> None:
    """What the commands print: for those who may see it, and where all is wrong."""
    nonsense = {name: value + "!" for name, value in world.environment.items() if name in set(secret_names())}
    nonsense |= {"DATABASE_URL": f"mysql://u:{world.ears.markers['DATABASE_URL']}@h/x", "PORT": "none"}
    away = {
        "DATABASE_URL": f"postgresql://u:{world.ears.markers['DATABASE_URL']}@127.0.0.1:9/x",
        "STRIPE_API_BASE": DEAD,
    }
    works: list[tuple[tuple[str, ...], dict[str, str]]] = [
        (("doctor", "--json"), {}),
        (("doctor", "--json"), away),
        (("serve",), nonsense),
        (("audit", "export"), {}),
        (("treasury", "payouts"), {"key": near(admin)}),
    ]
    if os.environ.get("PROVE"):
        link = "http://127.0.0.1:9/invitation#oin_" + world.ears.secret("a link", mark("link"))
        works += [
            (("doctor",), {}),
            (("serve",), away),
            (("keys", "list", "--json"), {}),
            (("sessions", "list", "--json"), {}),
            (("events", "list", "--json"), {}),
            (("chain", "status", "--json"), {}),
            (("treasury", "balances", "--json"), {"key": admin}),
            (("keys", "accept", link), {}),
            (("privacy", "find"), {"typed": email + "\n"}),
        ]
    for arguments, more in works:
        await world.command(*arguments, **more)


@pytest.mark.parametrize("style", ["json", "text"])
async def test_no_secret_is_anywhere_it_need_not_be(
    chain: DevChain, postgres_url: str, tmp_path: Path, style: str
) -> None:
    ears, key = Ears(), secrets.token_bytes(32)
    email = f"{ears.secret('the e-mail', mark('buyer'))}@privacy.example"
    wallet = Account.from_key(key).address
    async with world(ears, chain, postgres_url, tmp_path, style) as running_world:
        await buy(running_world, wallet, email)
        token = await log_in(running_world, key)
        admin = await operate(running_world)
        await fail(running_world, chain, admin, token, email)
        _, metrics = await running_world.ask("GET", "/metrics", running_world.environment["METRICS_TOKEN"], expect=200)
        for path in ("/openapi.json", "/docs", "/checkout", "/ready"):
            await running_world.ask("GET", path)
        if style == "json":
            await commands(running_world, admin, email)
        await running_world.ask("POST", "/api/v1/auth/logout", token, expect=200)
    async for table, rows in stored(postgres_url):
        ears.hear(f"table {table}", rows)
    places = dict(ears.said)
    assert "http.unexpected" in places["the log"] and "Traceback" in places["the log"], "faults were provoked"
    assert 'status="500"' in metrics
    assert len(ears.markers) > 25
    assert all(
        places[f"table {name}"]
        for name in ("sessions", "privacy_contacts", "api_keys", "audit_entries", "treasury_payouts")
    )
    assert ears.found() == []
    ears.hear("a trap", next(iter(ears.markers.values())).encode().hex())
    assert len(ears.found()) == 1, "what looks would find"
