"""Operations on the second factor of an API key: time-based codes (RFC 6238), each valid once; inside the caller's open transaction."""

import hmac
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.crypto.encryption import DecryptionError, decrypt, encrypt
from kit.crypto.keyring import KeyRing
from kit.http.problems import Problem
from kit.logs import get_logger
from onramp.auth.api_keys.model import ApiKey
from onramp.auth.api_keys.service import Author, get
from onramp.auth.api_keys.table import api_keys

log = get_logger(__name__)
PURPOSE: Final = "api-key-otp"
STEP_SECONDS: Final = 30
ISSUER: Final = "Onramp"
TRIES: Final = 5
LOCK: Final = timedelta(minutes=5)
"""How long a factor is locked after five wrong codes in a row. Three of a million codes are valid at a time, so guessing one takes 230 days on average."""

Outcome = Literal["accepted", "wrong", "used", "locked"]


async def enrol(conn: AsyncConnection, author: Author, key_id: str, ring: KeyRing) -> tuple[str, str]:
    """Store a new factor that waits for its first code; return its secret and otpauth URI.

    Raises Problem 409 if a factor is already enrolled, because a thief of the key must not replace it. A lost device means a new key.
    """
    import pyotp

    secret = pyotp.random_base32()
    sealed = encrypt(ring, secret, purpose=PURPOSE, belongs_to=key_id)
    waiting = sa.and_(api_keys.c.id == key_id, api_keys.c.otp_enrolled_at.is_(None))
    stored = await conn.execute(
        sa.update(api_keys).where(waiting).values(otp_sealed=sealed, otp_step=None, otp_failures=0)
    )
    if stored.rowcount != 1:
        raise Problem(409, "otp_enrolled", "This key has a second factor already. A lost device means a new key.")
    key = await get(conn, key_id)
    await audit_service.record(conn, author.id, "key.otp_enrol", key_id, at=author.now)
    return secret, pyotp.TOTP(secret).provisioning_uri(name=key.name, issuer_name=ISSUER)


async def activate(
    conn: AsyncConnection, author: Author, key_id: str, code: str, ring: KeyRing
) -> tuple[Outcome, ApiKey]:
    """Check the first code; if it is accepted, the key needs codes from now on. Return the outcome and the key.

    Raises Problem 409 if no factor waits for a code.
    """
    key = await get(conn, key_id)
    row = await _row(conn, key_id)
    if key.second_factor or row.otp_sealed is None:
        raise Problem(409, "otp_not_waiting", "No second factor of this key waits for its first code.")
    outcome = await use(conn, key_id, code, ring, author.now)
    if outcome == "accepted":
        await conn.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(otp_enrolled_at=author.now))
        await audit_service.record(conn, author.id, "key.otp_activate", key_id, at=author.now)
    return outcome, await get(conn, key_id)


async def use(conn: AsyncConnection, key_id: str, code: str, ring: KeyRing, now: datetime) -> Outcome:
    """Check a code. An accepted code, and every older one, cannot be used again; five wrong codes lock the factor for five minutes.

    The caller must commit whatever the outcome is, because wrong attempts are counted.
    """
    row = await _begin_try(conn, key_id, now)
    if row is None:
        return "locked"
    step = _step_of(row, key_id, code, ring, now)
    if step is None:
        await _lock_where_many(conn, row, now)
        return "wrong"
    is_new = row.otp_step is None or row.otp_step < step
    taken = {"otp_step": step, "otp_failures": 0} if is_new else {"otp_failures": row.otp_failures - 1}
    await conn.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(**taken))
    return "accepted" if is_new else "used"


def refusal(outcome: Outcome) -> Problem:
    """Return the Problem for a code that was not accepted."""
    match outcome:
        case "used":
            text = "This code was used before. Wait for the next one."
        case "locked":
            text = "Too many wrong codes. Try again in five minutes; if they were not yours, revoke this key."
        case _:
            text = "This code is wrong. Check the device's clock, and use the newest code."
    return Problem(401, "otp_invalid", text, headers={"WWW-Authenticate": "Bearer"})


def missing() -> Problem:
    """Return the Problem for a missing code."""
    return Problem(
        401,
        "otp_required",
        "This key has a second factor: send its code in the header X-OTP.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _step_of(row: Any, key_id: str, code: str, ring: KeyRing, now: datetime) -> int | None:
    import pyotp

    if len(code) != 6 or not code.isascii() or not code.isdigit() or row.otp_sealed is None:
        return None
    try:
        totp = pyotp.TOTP(decrypt(ring, row.otp_sealed, purpose=PURPOSE, belongs_to=key_id))
    except DecryptionError as error:
        log.error("api_keys.second_factor_unreadable", key=key_id, reason=str(error))
        return None
    current = int(now.timestamp()) // STEP_SECONDS
    # One step either way, for clocks that differ (RFC 6238, 5.2).
    right = [step for step in (current - 1, current, current + 1) if _is_code(totp, step, code)]
    return max(right, default=None)


def _is_code(totp: Any, step: int, code: str) -> bool:
    return hmac.compare_digest(str(totp.at(step * STEP_SECONDS)), code)


async def _row(conn: AsyncConnection, key_id: str) -> Any:
    return (await conn.execute(sa.select(api_keys).where(api_keys.c.id == key_id))).one()


async def _begin_try(conn: AsyncConnection, key_id: str, now: datetime) -> Any:
    """Count this attempt as a wrong one and return the key's row; None while it is locked.

    The row stays locked until the caller commits, so that concurrent attempts see each other and at most five are checked.
    """
    is_open = sa.or_(api_keys.c.otp_locked_until.is_(None), api_keys.c.otp_locked_until <= now)
    counted = (
        sa.update(api_keys)
        .where(api_keys.c.id == key_id, is_open)
        .values(otp_failures=api_keys.c.otp_failures + 1)
        .returning(api_keys)
    )
    return (await conn.execute(counted)).one_or_none()


async def _lock_where_many(conn: AsyncConnection, row: Any, now: datetime) -> None:
    if row.otp_failures < TRIES:
        return
    await conn.execute(
        sa.update(api_keys).where(api_keys.c.id == row.id).values(otp_failures=0, otp_locked_until=now + LOCK)
    )
    log.warning("api_keys.second_factor_locked", key=row.id)
    await audit_service.record(conn, row.id, "key.otp_locked", row.id, None, {"until": now + LOCK}, at=now)
