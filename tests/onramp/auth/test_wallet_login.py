"""Wallets log in over real HTTP, with a key and as a bitcoin wallet, and log out."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from coincurve import PrivateKey
from eth_account import Account
from eth_account.messages import encode_defunct
from pydantic import SecretStr

from chain.signatures.bitcoin import account_of, hash_of, message_hash, parse_address
from chain.types import keccak
from kit.db.database import Database
from kit.http.problems import Problem
from onramp.auth.wallets import service
from onramp.auth.wallets.routes import origin_of
from onramp.auth.wallets.table import login_nonces
from onramp.config.loader import load

SITE = "https://shop.example"
SECRET, OLD_SECRET = "11" * 16 + "0123456789abcdef" * 2, "22" * 16 + "0123456789abcdef" * 2
KEY = keccak(b"a wallet that logs in")
EOA = Account.from_key(KEY).address
BITCOIN = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"  # of the key 1
OF_ONE = [
    (BITCOIN, 39),
    (BITCOIN, 31),
    ("3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN", 35),
    ("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH", 31),
    ("1EHNa6Q4Jz2uvNExL497mE43ikXhwF6kZm", 27),
]
ME = "/api/v1/auth/logout"


@pytest.fixture
async def service_(start: Any) -> Any:
    return await start(ALLOWED_ORIGINS=SITE, JWT_SECRETS=SecretStr(f"{SECRET},{OLD_SECRET}"), RATE_LIMIT_AUTH="")


async def post(
    service: Any, path: str, body: dict[str, Any] | None = None, token: str | None = None
) -> tuple[int, Any]:
    headers = {"Origin": SITE} | ({"Authorization": f"Bearer {token}"} if token else {})
    async with service.http.post(service.api + path, json=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def ask(service: Any, address: str = EOA) -> str:
    status, answer = await post(service, "/api/v1/auth/nonce", {"address": address})
    assert status == 200, answer
    assert answer["nonce"] in answer["message"] and answer["expiresAt"] in answer["message"]
    text: str = answer["message"]
    return text


def sign(message: str, key: bytes = KEY) -> str:
    return "0x" + bytes(Account.sign_message(encode_defunct(text=message), key).signature).hex()


def sign_bitcoin(message: str, key: PrivateKey, first: int = 39) -> str:
    raw = key.sign_recoverable(message_hash(message), hasher=None)
    return base64.b64encode(bytes([first + raw[64]]) + raw[:64]).decode()


async def login(service: Any, message: str, signature: str) -> tuple[int, Any]:
    return await post(service, "/api/v1/auth/login", {"message": message, "signature": signature})


async def test_a_key_logs_in_and_out(service_: Any) -> None:
    message = await ask(service_, EOA.lower())
    assert message.startswith("shop.example wants you to sign in with your Ethereum account:\n" + EOA)
    status, answer = await login(service_, message, sign(message))
    assert (status, answer["address"]) == (200, EOA)
    ends = datetime.fromisoformat(answer["expiresAt"]) - datetime.now(UTC)
    assert timedelta(minutes=58) < ends <= timedelta(hours=1)
    assert await post(service_, ME, token=answer["token"]) == (200, {"address": EOA})
    status, problem = await post(service_, ME, token=answer["token"])
    assert (status, problem["code"]) == (401, "unauthorized")
    again = await ask(service_)
    status, answer = await login(service_, again, sign(again))
    assert (await post(service_, ME, token=answer["token"]))[0] == 200


async def test_a_bitcoin_wallet_logs_in_as_the_account_it_owns(service_: Any) -> None:
    key = PrivateKey((1).to_bytes(32, "big"))
    for address, first in OF_ONE:
        message = await ask(service_, address)
        assert "sign in with your Bitcoin account:\n" + address in message
        assert "Chain ID" not in message
        status, answer = await login(service_, message, sign_bitcoin(message, key, first))
        assert (status, answer["address"]) == (200, account_of(parse_address(address)))
    assert hash_of(key.public_key.format(), "p2wpkh") == parse_address(BITCOIN).hash


async def test_a_failed_and_a_successful_login_use_up_the_nonce(service_: Any) -> None:
    message = await ask(service_)
    status, problem = await login(service_, message, sign_bitcoin(message, PrivateKey()))
    assert (status, problem["code"]) == (401, "signature_invalid")
    status, problem = await login(service_, message, sign(message))
    assert (status, problem["code"]) == (401, "signature_invalid")
    assert "nonce" in problem["detail"]
    message = await ask(service_)
    assert (await login(service_, message, sign(message)))[0] == 200
    assert (await login(service_, message, sign(message)))[0] == 401
    broken = await ask(service_)
    assert (await login(service_, broken.replace("Version: 1", "Version: 2"), "0x00"))[0] == 401
    assert (await login(service_, broken, sign(broken)))[0] == 401
    async with service_.database.read() as conn:
        assert (await conn.execute(sa.select(sa.func.count()).select_from(login_nonces))).scalar_one() == 0


async def test_a_nonce_used_many_times_at_once_logs_in_once(service_: Any) -> None:
    message = await ask(service_)
    signature = sign(message)
    answers = await asyncio.gather(*(login(service_, message, signature) for _ in range(8)))
    assert sorted(status for status, _ in answers) == [200] + [401] * 7


async def test_a_nonce_is_good_for_its_address_its_site_and_its_chain_alone(service_: Any) -> None:
    other = keccak(b"another wallet")
    message = await ask(service_)
    stolen = message.replace(EOA, Account.from_key(other).address)
    assert (await login(service_, stolen, sign(stolen, other)))[0] == 401
    for old, new in (("shop.example wants", "evil.example wants"), ("URI: https://shop.example", "URI: https://evil.example"), ("Chain ID: 31611", "Chain ID: 31612")):  # fmt: skip
        message = await ask(service_)
        changed = message.replace(old, new)
        assert changed != message
        status, problem = await login(service_, changed, sign(changed))
        assert (status, problem["code"]) == (401, "signature_invalid")


async def test_if_no_node_answers_a_contract_wallet_is_not_reported_as_refusing(service_: Any) -> None:
    message = await ask(service_)
    status, problem = await login(service_, message, sign(message, keccak(b"another wallet")))
    assert (status, problem["code"]) == (503, "chain_unavailable")


@pytest.mark.parametrize(
    "address",
    ["", "0x123", EOA[:-1] + ("0" if EOA[-1] != "0" else "1"), "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"],
)  # fmt: skip
async def test_an_address_that_cannot_log_in_is_refused_at_its_field(service_: Any, address: str) -> None:
    status, problem = await post(service_, "/api/v1/auth/nonce", {"address": address})
    assert (status, problem["code"]) == (422, "validation_failed")
    assert problem["errors"][0]["pointer"] == "/address"
    if address.startswith("bc1p"):
        assert "Taproot" in problem["detail"]


def claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {"iss": "onramp", "aud": "onramp:31611", "sub": EOA, "iat": now, "exp": now + timedelta(minutes=5), "ver": 0} | changes  # fmt: skip


async def test_only_our_tokens_open_and_an_old_secret_still_verifies(service_: Any) -> None:
    secret = bytes.fromhex(SECRET)
    good = [jwt.encode(claims(), bytes.fromhex(OLD_SECRET), "HS256")]
    bad = [
        jwt.encode(claims(), b"x" * 32, "HS256"),
        jwt.encode(claims(), "", "none"),
        jwt.encode(claims(), secret + secret, "HS512"),
        jwt.encode(claims(exp=datetime.now(UTC) - timedelta(seconds=1)), secret, "HS256"),
        jwt.encode(claims(aud="onramp:31612"), secret, "HS256"),
        jwt.encode(claims(iss="other"), secret, "HS256"),
        jwt.encode(claims(ver=7), secret, "HS256"),
        jwt.encode(claims(ver="0"), secret, "HS256"),
        jwt.encode({"sub": EOA}, secret, "HS256"),
        "a.b.c",
        "..",
    ]
    for token in bad:
        assert (await post(service_, ME, token=token))[0] == 401
    for token in good:
        assert (await post(service_, ME, token=token))[0] == 200


async def test_our_tokens_equal_those_of_pyjwt(service_: Any) -> None:
    message = await ask(service_)
    token = (await login(service_, message, sign(message)))[1]["token"]
    made = jwt.decode(token, bytes.fromhex(SECRET), algorithms=["HS256"], audience="onramp:31611", issuer="onramp")
    assert jwt.encode(made, bytes.fromhex(SECRET), "HS256", sort_headers=True) == token
    assert (made["sub"], made["ver"], made["exp"] - made["iat"]) == (EOA, 0, 3600)


async def test_a_wallet_is_no_operator(service_: Any) -> None:
    token = jwt.encode(claims(), bytes.fromhex(SECRET), "HS256")
    async with service_.http.get(
        f"{service_.api}/api/v1/treasury/audit", headers={"Authorization": f"Bearer {token}"}
    ) as answer:
        assert answer.status == 403


async def test_a_nonce_is_burnt_once_on_either_database_and_a_logout_raises_the_version(database: Database) -> None:
    now = datetime.now(UTC)
    async with database.write() as conn:
        await service.remember(conn, "n" * 32, service.Waiting(EOA, SITE, now + timedelta(minutes=10)))
        await service.remember(conn, "o" * 32, service.Waiting(EOA, SITE, now - timedelta(minutes=1)))
    async with database.write() as conn:
        assert await service.forget_expired(conn, now) == 1
    waiting = service.Waiting(EOA, SITE, now + timedelta(minutes=10))
    tries = await asyncio.gather(*(service.burn(database, "n" * 32, EOA) for _ in range(4)))
    assert [one for one in tries if one is not None] == [service.Burnt(waiting, 0)]
    async with database.write() as conn:
        for expected in (0, 1, 2):
            assert await service.versions(conn, [EOA]) == {EOA: expected}
            await service.log_out(conn, EOA)
        await service.remember(conn, "o" * 32, waiting)
    assert await service.burn(database, "o" * 32, EOA) == service.Burnt(waiting, 3)


def test_a_message_names_an_allowed_site_and_production_names_no_other() -> None:
    settings = load(ALLOWED_ORIGINS="https://app.example,https://other.example", PORT=3001)
    assert origin_of("https://other.example", settings) == "https://other.example"
    assert origin_of("https://evil.example", settings) == origin_of(None, settings) == "https://app.example"
    nowhere = load(PORT=3001)
    assert origin_of("https://evil.example", nowhere) == "http://127.0.0.1:3001", "our own page, in development alone"
    with pytest.raises(Problem) as refused:
        origin_of("https://evil.example", nowhere.model_copy(update={"ENVIRONMENT": "production"}))
    assert (refused.value.status, refused.value.code) == (503, "login_unavailable")


async def test_another_method_is_405_and_says_which(service_: Any) -> None:
    async with service_.http.get(service_.api + "/api/v1/auth/login") as answer:
        problem = await answer.json(content_type=None)
        assert (answer.status, problem["code"], answer.headers["Allow"]) == (405, "method_not_allowed", "POST")
