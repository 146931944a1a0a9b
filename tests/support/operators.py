"""Operators of the treasury: their API keys, and a client for its routes."""

from typing import Any

from kit.db.database import Database
from onramp.auth.roles import Role
from tests.support.api_keys import create_key
from tests.support.service import Service

API = "/api/v1"
BASE = f"{API}/treasury"


async def make_key(database: Database, role: Role, person: str) -> str:
    """Make a key for this person; return its secret."""
    _, secret = await create_key(database, role, person, name=f"{person} {role}")
    return secret


class OperatorClient:
    """The treasury's routes, or all routes below `base`, called with one key."""

    def __init__(self, service: Service, secret: str | None, base: str = BASE) -> None:
        self._service = service
        self._base = base
        self.secret = secret
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    async def get(self, path: str) -> tuple[int, Any]:
        return await self._ask("GET", path)

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        return await self._ask("POST", path, **({} if body is None else {"json": body}))

    async def _ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        url = f"{self._service.api}{self._base}{path}"
        async with self._service.http.request(method, url, headers=self._headers, **more) as answer:
            return answer.status, await answer.json(content_type=None)


async def operator_client(service: Service, role: Role, person: str, base: str = BASE) -> OperatorClient:
    """Make a key for this person; return a client that uses it."""
    return OperatorClient(service, await make_key(service.database, role, person), base)
