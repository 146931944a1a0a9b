"""A service whose API keys wait for a confirmation, as in production, and the persons who hold them."""

from typing import Any

from onramp.auth.roles import Role
from tests.support.api_keys import KEYS, call, create_key


class Office:
    """A service whose keys wait as they do in production, and persons whose keys were made on the machine."""

    def __init__(self, running: Any) -> None:
        self.running = running
        self.database = running.database

    async def hire(self, role: Role, person: str) -> tuple[str, str]:
        """Return (id, secret) of a key that works at once."""
        return await create_key(self.database, role, person)

    async def ask(self, method: str, path: str, secret: str | None, body: Any = None) -> tuple[int, Any]:
        return await call(self.running, method, path, secret or None, **({} if body is None else {"json": body}))

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
        status, answer = await self.ask("POST", f"{KEYS}/{key_id}/confirm", approver, body)
        return "confirmed" if status == 200 else str(answer["code"])

    async def works(self, secret: str) -> bool:
        status, answer = await self.ask("GET", "/api/v1/keys/me", secret)
        assert status == 200 or answer["code"] == "key_not_active", answer
        return status == 200
