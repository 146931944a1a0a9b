"""Every secret is a marker. A real service handles a purchase, logins, commands and failures, and no marker appears where it must not.

The search covers the whole log of the process, every response, the metrics, what the commands print, and every column of every table. A
secret may appear in the one response that is meant to contain it, from which it is removed before the search.
"""

import asyncio
import json
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pyotp
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from onramp.config.loader import secret_names
from onramp.dev.chain.devchain import DevChain, running
from onramp.dev.local.host import ROOT
from tests.support.secret_markers import DEAD, PATIENCE, SETTLEMENT, OutputRecorder, World, mark, near, world

pytestmark = [
    pytest.mark.starts_first,
    pytest.mark.skipif(
        not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(),
        reason="node packages are not installed (make setup)",
    ),
]


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with running() as started:
        yield started


async def buy(world: World, wallet: str, email: str) -> None:
    """Run a whole purchase: create, pay, pay out, prove, receipt."""
    body = {"walletAddress": wallet, "sourceAmount": "5", "sourceCurrency": "usd", "email": email}
    again: dict[str, Any] = {"headers": {"Idempotency-Key": "a-key-of-enough-length"}, "json": body}
    async with asyncio.timeout(PATIENCE):
        while True:
            async with world.http.post(f"{world.api}/api/v1/onramp/sessions", **again) as answer:
                made = await answer.json(content_type=None)
            if answer.status == 201:
                break
            world.recorder.record("a create that was refused", json.dumps(made))
            await asyncio.sleep(0.3)
    world.recorder.secret("the client secret", made["clientSecret"])
    world.recorder.secret("the session's hash", parse_qs(urlsplit(made["redirectUrl"]).query)["session_hash"][0])
    world.recorder.record(
        "a create", json.dumps({name: made[name] for name in set(made) - {"clientSecret", "redirectUrl"}})
    )
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
    """Use keys, an invitation, a second factor and a command; return the admin's key."""
    first = await world.command("keys", "create", "--role", "admin", "--name", "amir", "--json", gives=("secret",))
    admin = json.loads(first)["secret"]
    async with asyncio.timeout(PATIENCE):
        while (await world.ask("GET", "/api/v1/admin/keys", admin))[0] != 200:
            await asyncio.sleep(0.2)
    order = {"role": "approver", "name": "ada", "person": "ada"}
    invitations = "/api/v1/admin/invitations"
    _, made = await world.ask("POST", invitations, admin, gives=("link",), json=order, expect=201)
    token = world.recorder.secret("the invitation's token", urlsplit(made["link"]).fragment)
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
    """Cause failures: by strangers, by Stripe, by a node, and internal ones."""
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
    message = f"Invalid key {world.environment['STRIPE_SECRET_KEY']} for {email}"
    for fault in (
        {"kind": "error", "count": 1, "status": 400, "code": "some_code", "message": message},
        {"kind": "error", "count": 1, "status": 401, "message": message},
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
        proxy.clear_faults()
    await broken(world, admin, token, body)


async def broken(world: World, admin: str, token: str, body: dict[str, str]) -> None:
    """Remove tables: the database fails in the middle of a request, with tracebacks."""
    plain = await asyncpg.connect(world.environment["DATABASE_URL"])
    try:
        asked: tuple[tuple[str, str, str, str | None, dict[str, Any]], ...] = (
            ("privacy_contacts", "POST", "/api/v1/onramp/sessions", None, {"json": body}),
            ("login_nonces", "POST", "/api/v1/auth/nonce", None, {"json": {"address": SETTLEMENT}}),
            ("invitations", "POST", "/api/v1/invitations/accept", None, {"json": {"token": admin}}),
            ("api_key_secrets", "GET", "/api/v1/admin/keys", near(admin), {}),
            ("sessions", "GET", "/api/v1/onramp/sessions", token, {}),
        )
        for table, method, path, bearer, more in asked:
            await plain.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
            await world.ask(method, path, bearer, expect=500, **more)
            await plain.execute(f"ALTER TABLE {table}_away RENAME TO {table}")
    finally:
        await plain.close()


async def stored(url: str) -> AsyncIterator[tuple[str, str]]:
    """Yield (table, all its rows) of every table."""
    plain = await asyncpg.connect(url)
    try:
        names = await plain.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (name,) in names:
            rows = await plain.fetch(f'SELECT row_to_json(t)::text FROM "{name}" AS t')
            yield name, "\n".join(row[0] for row in rows)
    finally:
        await plain.close()


async def commands(world: World, admin: str, email: str) -> None:
    """Run the commands, with a valid key and with everything wrong."""
    nonsense = {name: value + "!" for name, value in world.environment.items() if name in set(secret_names())}
    nonsense |= {"DATABASE_URL": f"mysql://u:{world.recorder.markers['DATABASE_URL']}@h/x", "PORT": "none"}
    away = {
        "DATABASE_URL": f"postgresql://u:{world.recorder.markers['DATABASE_URL']}@127.0.0.1:9/x",
        "STRIPE_API_BASE": DEAD,
    }
    works: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (("doctor", "--json"), {}),
        (("doctor", "--json"), away),
        (("serve",), nonsense),
        (("audit", "export"), {}),
        (("treasury", "payouts"), {"key": near(admin)}),
    ]
    if os.environ.get("PROVE"):
        link = "http://127.0.0.1:9/invitation#oin_" + world.recorder.secret("a link", mark("link"))
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
    recorder, key = OutputRecorder(), secrets.token_bytes(32)
    email = f"{recorder.secret('the e-mail', mark('buyer'))}@privacy.example"
    wallet = Account.from_key(key).address
    async with world(recorder, chain, postgres_url, tmp_path, style) as running_world:
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
        recorder.record(f"table {table}", rows)
    places = dict(recorder.texts)
    assert "http.unexpected" in places["the log"] and "Traceback" in places["the log"], "faults were provoked"
    assert 'status="500"' in metrics
    assert len(recorder.markers) > 25
    assert all(
        places[f"table {name}"]
        for name in ("sessions", "privacy_contacts", "api_keys", "audit_entries", "treasury_payouts")
    )
    assert recorder.leaks() == []
    recorder.record("a trap", next(iter(recorder.markers.values())).encode().hex())
    assert len(recorder.leaks()) == 1, "an encoded secret must be found"
