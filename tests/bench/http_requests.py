"""The HTTP requests that the benchmark sends, as bytes."""

import hashlib
import hmac
import itertools
import secrets
import time
from collections.abc import Callable, Sequence

WEBHOOK_SECRET = "whsec_bench"
_PADDING = "x" * 600
"""Makes the webhook's body about as long as a real one."""
_numbers = itertools.count(1)


def post(path: str, body: bytes, *headers: str) -> bytes:
    """Return a POST request with this JSON body."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: bench",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def webhook(stripe_id: str = "") -> bytes:
    """Return a signed webhook of Stripe with a new event about a session; without `stripe_id`, one that is not ours."""
    number = next(_numbers)
    signed_at = int(time.time())
    session = f'{{"id":"{stripe_id or f"cos_{number}"}","object":"crypto.onramp_session","status":"requires_payment","pad":"{_PADDING}"}}'
    body = f'{{"id":"evt_{number}","object":"event","type":"crypto.onramp_session.updated","created":1,"livemode":false,"data":{{"object":{session}}}}}'.encode()
    mac = hmac.digest(WEBHOOK_SECRET.encode(), f"{signed_at}.".encode() + body, hashlib.sha256).hex()
    return post("/api/v1/webhooks/stripe", body, f"Stripe-Signature: t={signed_at},v1={mac}")


def creation() -> bytes:
    """Return a request for a new session."""
    body = b'{"walletAddress":"0x14dC79964da2C08b23698B3D3cc7Ca32193d9955","sourceAmount":"1","sourceCurrency":"usd"}'
    return post("/api/v1/onramp/sessions", body, f"Idempotency-Key: {secrets.token_hex(12)}")


def reading(
    session_ids: Sequence[str], base: str = "/api/v1/onramp/sessions", secret: str | None = None
) -> Callable[[], bytes]:
    """Return a function that asks for each of these sessions in turn, so that concurrent readers ask for different ones."""
    header = "" if secret is None else f"Authorization: Bearer {secret}\r\n"
    requests = [
        f"GET {base}/{session_id} HTTP/1.1\r\nHost: bench\r\n{header}\r\n".encode() for session_id in session_ids
    ]
    turn = itertools.cycle(requests)
    return lambda: next(turn)
