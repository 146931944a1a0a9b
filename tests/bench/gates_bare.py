"""The bare login: framework, driver, one statement that burns the nonce, the curve, and PyJWT."""

import asyncio
import secrets
import sys
import time

import asyncpg
import jwt
import orjson
import uvloop
from aiohttp import web
from coincurve import PublicKey
from Crypto.Hash import keccak

SECRET = secrets.token_bytes(32)


def hashed(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()


async def make(dsn: str) -> web.Application:
    app = web.Application()
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=8)
    await pool.execute("CREATE TABLE IF NOT EXISTS bare_nonces (id text PRIMARY KEY, address text NOT NULL)")

    async def nonce(request: web.Request) -> web.Response:
        address = orjson.loads(await request.read())["address"]
        made = secrets.token_hex(16)
        await pool.execute("INSERT INTO bare_nonces VALUES ($1, $2)", made, address)
        return web.json_response({"message": f"{address}\nNonce: {made}"})

    async def login(request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        message, signature = body["message"].encode(), bytes.fromhex(body["signature"][2:])
        row = await pool.fetchrow("DELETE FROM bare_nonces WHERE id = $1 RETURNING address", body["message"][-32:])
        digest = hashed(b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message)
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([signature[64] - 27]), digest, hasher=None)
        assert hashed(key.format(compressed=False)[1:])[12:].hex() == row["address"][2:].lower()
        now = int(time.time())
        token = jwt.encode({"sub": row["address"], "iat": now, "exp": now + 3600}, SECRET, algorithm="HS256")
        return web.Response(body=orjson.dumps({"token": token}), content_type="application/json")

    async def empty(_request: web.Request) -> web.Response:
        return web.Response()

    app.add_routes(
        [web.get("/empty", empty), web.post("/api/v1/auth/nonce", nonce), web.post("/api/v1/auth/login", login)]
    )
    return app


async def main() -> None:
    runner = web.AppRunner(await make(sys.argv[2]), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1]), backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
