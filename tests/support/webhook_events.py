"""Events of Stripe as its webhooks send them: bodies, signatures, and the request."""

import hashlib
import hmac
import time
from typing import Any

import orjson

from tests.support.service import SECRETS, Service


def make_event(number: int = 1, kind: str = "crypto.onramp_session.updated", status: str = "requires_payment") -> bytes:
    """Return the body of an event about the session `cos_<number>`."""
    session = {"id": f"cos_{number}", "object": "crypto.onramp_session", "status": status}
    return orjson.dumps(
        {
            "id": f"evt_{number}",
            "object": "event",
            "type": kind,
            "created": 1,
            "livemode": False,
            "data": {"object": session},
        }
    )


def sign(body: bytes, secret: str = SECRETS[0], moment: int | None = None) -> str:
    """Return the Stripe-Signature header of a body, at `moment` in Unix seconds (now by default)."""
    at = int(time.time()) if moment is None else moment
    return f"t={at},v1={hmac.digest(secret.encode(), f'{at}.'.encode() + body, hashlib.sha256).hex()}"


async def post_event(service: Service, body: bytes, header: str | None) -> tuple[int, dict[str, Any]]:
    """Post an event to the service; return status and body of the response."""
    headers = {"Stripe-Signature": header} if header is not None else {}
    async with service.http.post(f"{service.api}/api/v1/webhooks/stripe", data=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)
