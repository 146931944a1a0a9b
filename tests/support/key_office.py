"""A service whose API keys wait for a confirmation, as in production, and the persons who hold them."""

from datetime import UTC, datetime
from typing import Any

from kit.crypto.keyring import KeyRing
from kit.ids import RandomIds
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.service import Author
from onramp.auth.roles import Role
from onramp.config.fields import DEVELOPMENT_KEY

RING = KeyRing([DEVELOPMENT_KEY], "onramp")
KEYS = "/api/v1/admin/keys"


class Office:
    """A service whose keys wait as they do in production, and persons whose keys were made on the machine."""

    def __init__(self, running: Any) -> None:
        self.running = running
        self.database = running.database

    async def hire(self, role: Role, person: str) -> tuple[str, str]:
        """(id, secret) of a key that works."""
        key_id, secret = RandomIds().new("key_"), api_keys_service.new_secret()
        author = Author("machine", datetime.now(UTC), is_production=False)
        async with self.database.write() as conn:
            await api_keys_service.create(
                conn, author, key_id=key_id, secret=secret, ring=RING, role=role, name=person, person=person
            )
        return key_id, secret

    async def ask(self, method: str, path: str, secret: str | None, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        more = {} if body is None else {"json": body}
        async with self.running.http.request(method, self.running.api + path, headers=headers, **more) as answer:
            return answer.status, await answer.json(content_type=None)

    async def make(self, admin: str, role: str, person: str) -> dict[str, Any]:
        status, key = await self.ask("POST", KEYS, admin, {"role": role, "name": f"{person} {role}", "person": person})
        assert status == 201, key
        return dict(key)

    async def rotate(self, admin: str, key_id: str, overlap: int = 10_080) -> dict[str, Any]:
        status, key = await self.ask("POST", f"{KEYS}/{key_id}/rotate", admin, {"overlapMinutes": overlap})
        assert status == 200, key
        return dict(key)

    async def confirm(self, approver: str, key_id: str, body: Any = None) -> str:
        """`confirmed`, or the code of the refusal."""
        status, said = await self.ask("POST", f"{KEYS}/{key_id}/confirm", approver, body)
        return "confirmed" if status == 200 else str(said["code"])

    async def works(self, secret: str) -> bool:
        status, said = await self.ask("GET", "/api/v1/keys/me", secret)
        assert status == 200 or said["code"] == "key_not_active", said
        return status == 200
