"""Idempotency keys: the first outcome, even a failure, is stored and repeated."""

import time
from typing import Final

from onramp.dev.stripe.errors import StripeError, bad
from onramp.dev.stripe.form import parse
from onramp.dev.stripe.state_file import StateFile, Stored

MAX_LENGTH: Final = 255


class IdempotencyKeys:
    """The idempotency keys, with the outcomes of their POST requests."""

    def __init__(self, seconds: float, file: StateFile) -> None:
        """Load the keys of an earlier run from `file`; a key is valid for `seconds`."""
        self._seconds = seconds
        self._file = file
        self._stored: dict[str, Stored] = file.load_keys()

    def __len__(self) -> int:
        return len(self._stored)

    def begin(self, key: str, path: str, params: bytes) -> Stored | None:
        """Return the stored outcome of a key; None for a new key, whose request is now in progress.

        Raises StripeError if the key is too long, in use, or was used for another request.
        """
        if len(key) > MAX_LENGTH:
            raise bad(None, f"Idempotency keys have at most {MAX_LENGTH} characters.")
        now = time.monotonic()
        self._prune(now)
        stored = self._stored.get(key)
        if stored is None:
            self._stored[key] = Stored(path, params, now)
            return None
        if stored.path != path or (stored.params != params and parse(stored.params.decode()) != parse(params.decode())):
            raise StripeError(
                400,
                None,
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        if stored.status is None:
            raise StripeError(
                409,
                "idempotency_key_in_use",
                f"There is currently another in-progress request using this Idempotent Key ({key}). Please try again later.",
                kind="idempotency_error",
            )
        return stored

    def finish(self, key: str, status: int, body: bytes, request_id: str) -> None:
        """Store the outcome of the request that `begin` started."""
        stored = self._stored[key]
        # A copy, because the bytes that orjson returns keep its whole output buffer, 8 KB for a body of 1 KB.
        stored.status, stored.body, stored.request_id = status, bytes(memoryview(body)), request_id
        self._file.store_key(key, stored)

    def forget(self, key: str) -> None:
        """Forget a request that failed validation; its key may be used again."""
        self._stored.pop(key, None)

    def _prune(self, now: float) -> None:
        while self._stored:
            key = next(iter(self._stored))
            stored = self._stored[key]
            if now - stored.made <= self._seconds or stored.status is None:
                return
            del self._stored[key]
