"""The account's state: sessions, idempotency keys, events; in memory, gone with the process."""

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from onramp.sandbox.errors import StripeError

KEY_SECONDS: Final = 24 * 3600


@dataclass(slots=True)
class Stored:
    """The first outcome under an idempotency key; `status` None while it is under way."""

    digest: str
    made: float
    status: int | None = None
    body: bytes = b""


@dataclass(slots=True)
class Store:
    """Everything the sandbox remembers."""

    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_hash: dict[str, str] = field(default_factory=dict)
    keys: dict[str, Stored] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def begin(self, key: str, path: str, params: dict[str, Any]) -> Stored | None:
        """None for a new key, which is now under way; the stored outcome for a known one. Raises as Stripe does."""
        now = time.time()
        digest = hashlib.sha256(path.encode() + orjson.dumps(params, option=orjson.OPT_SORT_KEYS)).hexdigest()
        known = self.keys.get(key)
        if known is None or now - known.made > KEY_SECONDS:
            self.keys[key] = Stored(digest, now)
            return None
        if known.digest != digest:
            raise StripeError(
                400,
                None,
                "Keys for idempotent requests can only be used with the same parameters they were first used with.",
                kind="idempotency_error",
            )
        if known.status is None:
            raise StripeError(
                409,
                "idempotency_key_in_use",
                "There is currently another in-progress request using this key.",
                kind="idempotency_error",
            )
        return known

    def finish(self, key: str, status: int, body: bytes) -> None:
        """Remember the outcome under the key."""
        self.keys[key].status = status
        self.keys[key].body = body

    def forget(self, key: str) -> None:
        """What failed its validation is not stored."""
        self.keys.pop(key, None)

    def add(self, session: dict[str, Any]) -> None:
        """A new session."""
        self.sessions[session["id"]] = session
        self.by_hash[session["redirect_url"].rpartition("=")[2]] = session["id"]

    def get(self, session_id: str) -> dict[str, Any]:
        """One session; raises the 404 Stripe gives."""
        session = self.sessions.get(session_id)
        if session is None:
            raise StripeError(404, "resource_missing", f"No such onramp session: '{session_id}'", param="id")
        return session

    def page(self, query: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
        """A page of sessions, newest first, and whether there is more."""
        limit = int(query.get("limit", 10))
        if not 1 <= limit <= 100:
            raise StripeError(400, "parameter_invalid_integer", "limit must be between 1 and 100.", param="limit")
        rows = list(reversed(self.sessions.values()))
        created = query.get("created", {})
        created = {"gte": created, "lte": created} if isinstance(created, str) else created
        for bound, value in created.items():
            second = int(value)
            rows = [row for row in rows if _within(row["created"], bound, second)]
        for name in ("status", "destination_currency", "destination_network"):
            if name in query:
                rows = [
                    row
                    for row in rows
                    if (row if name == "status" else row["transaction_details"])[name] == query[name]
                ]
        ids = [row["id"] for row in rows]
        for name in ("starting_after", "ending_before"):
            if name in query and query[name] not in self.sessions:
                raise StripeError(404, "resource_missing", f"No such onramp session: '{query[name]}'", param=name)
        if "starting_after" in query and query["starting_after"] in ids:
            rows = rows[ids.index(query["starting_after"]) + 1 :]
        elif "starting_after" in query:
            moment = self.sessions[query["starting_after"]]["created"]
            rows = [row for row in rows if row["created"] <= moment]
        if "ending_before" in query and query["ending_before"] in ids:
            rows = rows[: ids.index(query["ending_before"])]
            return rows[-limit:], len(rows) > limit
        return rows[:limit], len(rows) > limit


def _within(moment: int, bound: str, second: int) -> bool:
    return {"gt": moment > second, "gte": moment >= second, "lt": moment < second, "lte": moment <= second}.get(
        bound, True
    )
