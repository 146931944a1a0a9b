"""API keys, made in the database, and requests that carry them."""

from datetime import UTC, datetime
from typing import Any, Final

from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.ids import RandomIds
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.service import Author
from onramp.auth.roles import Role
from onramp.config.fields import DEVELOPMENT_KEY

RING: Final = KeyRing([DEVELOPMENT_KEY], "onramp")
KEYS: Final = "/api/v1/admin/keys"


async def create_key(
    database: Database, role: Role, person: str, *, name: str = "", is_production: bool = False
) -> tuple[str, str]:
    """Create a key for this person, as the command line does on the machine; return its id and its secret."""
    secret, key_id = api_keys_service.new_secret(), RandomIds().new("key_")
    author = Author("machine", datetime.now(UTC), is_production=is_production)
    async with database.write() as conn:
        await api_keys_service.create(
            conn, author, key_id=key_id, secret=secret, ring=RING, role=role, name=name or person, person=person
        )
    return key_id, secret


async def call(
    service: Any, method: str, path: str, secret: str | None = None, *, otp: str | None = None, **more: Any
) -> tuple[int, Any]:
    """Send a request with this key, and this code of a second factor; return status and body. aiohttp gets `more`."""
    headers = ({"Authorization": f"Bearer {secret}"} if secret is not None else {}) | (
        {"X-OTP": otp} if otp is not None else {}
    )
    async with service.http.request(method, service.api + path, headers=headers, **more) as response:
        return response.status, await response.json(content_type=None)
