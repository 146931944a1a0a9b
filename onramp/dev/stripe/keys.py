"""Idempotency keys: the first outcome is kept and given again, a stored failure included."""

import time
from typing import Final

from onramp.dev.stripe.errors import StripeError, bad
from onramp.dev.stripe.form import parse
from onramp.dev.stripe.kept import Kept, Stored

LONGEST: Final = 255


class Keys:
    """What is remembered of POSTs, for a day."""

    def __init__(self, seconds: float, kept: Kept) -> None:
        """`seconds` until a key is forgotten; what is `kept` of an earlier run is known already."""
        self._seconds = seconds
        self._kept = kept
        self._stored: dict[str, Stored] = kept.keys()

    def __len__(self) -> int:
        return len(self._stored)

    def begin(self, key: str, path: str, params: bytes) -> Stored | None:
        """None for a new key, which is now under way; else the outcome stored. Raises as Stripe does."""
        if len(key) > LONGEST:
            raise bad(None, f"Idempotency keys have at most {LONGEST} characters.")
        now = time.monotonic()
        self._prune(now)
        known = self._stored.get(key)
        if known is None:
            self._stored[key] = Stored(path, params, now)
            return None
        if known.path != path or (known.params != params and parse(known.params.decode()) != parse(params.decode())):
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise StripeError(400, None, message, kind="idempotency_error")
        if known.status is None:
            message = f"There is currently another in-progress request using this Idempotent Key ({key}). Please try again later."
            raise StripeError(409, "idempotency_key_in_use", message, kind="idempotency_error")
        return known

    def finish(self, key: str, status: int, body: bytes, request_id: str) -> None:
        """Remember the outcome."""
        stored = self._stored[key]
        # A copy: what orjson returns keeps the whole buffer it was written into, 8 KB for a body of one.
        stored.status, stored.body, stored.request_id = status, bytes(memoryview(body)), request_id
        self._kept.key(key, stored)

    def forget(self, key: str) -> None:
        """What failed its validation, and so never began, is not remembered."""
        self._stored.pop(key, None)

    def _prune(self, now: float) -> None:
        while self._stored:
            key = next(iter(self._stored))
            stored = self._stored[key]
            if now - stored.made <= self._seconds or stored.status is None:
                return
            del self._stored[key]
