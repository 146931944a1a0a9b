"""Store sessions and idempotency keys in a file, so that a restarted sandbox still has them, as Stripe would."""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY, path TEXT NOT NULL, params BLOB NOT NULL, made REAL NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    request_id TEXT NOT NULL);
"""


@dataclass(slots=True)
class Stored:
    """The first request with an idempotency key; `status` is None until it has ended."""

    path: str
    params: bytes
    """The body as sent. The same parameters in another spelling count as the same request."""
    made: float
    """The monotonic time, in seconds, at which the request began."""
    status: int | None = None
    body: bytes = b""
    request_id: str = ""


class StateFile:
    """The sandbox's sessions and finished idempotency keys in a SQLite file.

    A change is on disk when its method returns. Without a file nothing is stored.
    """

    def __init__(self, file: Path | None) -> None:
        """Open the file; create it if it does not exist."""
        self._file = None if file is None else sqlite3.connect(file, isolation_level=None)
        if self._file is not None:
            self._file.executescript(_SCHEMA)

    def load_sessions(self) -> list[dict[str, Any]]:
        """Return every session, oldest first."""
        if self._file is None:
            return []
        return [orjson.loads(body) for (body,) in self._file.execute("SELECT body FROM sessions ORDER BY place")]

    def store_session(self, session: dict[str, Any]) -> None:
        """Store a session in its current state."""
        if self._file is not None:
            self._file.execute(
                "INSERT INTO sessions (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                (session["id"], orjson.dumps(session)),
            )

    def load_keys(self) -> dict[str, Stored]:
        """Return every finished request by its key, oldest first; the time since the last run counts towards their ages."""
        if self._file is None:
            return {}
        rows = self._file.execute("SELECT key, path, params, made, status, body, request_id FROM keys ORDER BY made")
        shift = time.monotonic() - time.time()
        return {key: Stored(path, params, made + shift, *outcome) for key, path, params, made, *outcome in rows}

    def store_key(self, key: str, stored: Stored) -> None:
        """Store the outcome of a request."""
        if self._file is not None:
            made = stored.made + time.time() - time.monotonic()
            self._file.execute(
                "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key, stored.path, stored.params, made, stored.status, stored.body, stored.request_id),
            )

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
