"""Development API keys: one for each role, each held by a different person; the same at every start on the same data."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kit.db.database import connect
from kit.ids import RandomIds
from onramp import migrations
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.alarms import DEVELOPMENT
from onramp.auth.api_keys.service import Author
from onramp.auth.roles import Role
from onramp.config.settings import Settings

PERSONS: Final[dict[Role, str]] = {
    "viewer": "vera",
    "operator": "otto",
    "approver": "ada",
    "admin": "amir",
    "dapp": "shop",
}


async def dev_api_keys(home: Path, settings: Settings) -> dict[str, str]:
    """Return role -> secret; the keys are kept with the development data and added to its database if they are missing."""
    file = home / "api-keys.json"
    file.touch(mode=0o600)
    # A folder of an earlier version lacks the roles that are newer.
    stored_secrets: dict[str, str] = json.loads(file.read_text(encoding="utf-8") or "{}")
    secrets: dict[str, str] = {role: stored_secrets.get(role) or api_keys_service.new_secret() for role in PERSONS}
    file.write_text(json.dumps(secrets), encoding="utf-8")
    database = connect(settings.DATABASE_URL.get_secret_value())
    try:
        await migrations.upgrade(database)
        now = datetime.now(UTC)
        async with database.write() as conn:
            for role, person in PERSONS.items():
                stored = api_keys_service.hashes(settings.ring, secrets[role])
                if await api_keys_service.resolve(conn, stored, now):
                    continue
                if await api_keys_service.was_made(
                    conn, DEVELOPMENT, role
                ):  # it was revoked or rotated; another takes its place
                    secrets[role] = api_keys_service.new_secret()
                await api_keys_service.create(
                    conn,
                    Author(DEVELOPMENT, now, is_production=False),
                    key_id=RandomIds().new("key_"),
                    secret=secrets[role],
                    ring=settings.ring,
                    role=role,
                    name=f"development {role}",
                    person=person,
                )
    finally:
        await database.close()
    file.write_text(json.dumps(secrets), encoding="utf-8")
    return secrets
