"""Stored signatures of plans: written with the command, verified before money moves and by the audit, without the service that took them.

Three things have to agree: the passkey's signature over the plan, the hash of the plan, and a seal under a key that is not in the
database. The signature proves that the device was there; the seal proves that this service checked whose device it is and which role
the person had. Somebody who can write to the database but has neither the device nor the key can forge neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.crypto.keyring import DerivedKey, KeyRing
from kit.signed_plans.plan import plan_hash
from kit.signed_plans.table import passkeys, plan_signatures
from kit.signed_plans.webauthn import RelyingParty, WebAuthnRefused, verify_assertion

PURPOSE: Final = "plan-signatures"
PASSKEY_PURPOSE: Final = "passkeys"
_SEALED: Final = (
    "id", "action", "subject", "person", "actor", "caller_role", "passkey_id", "credential_id", "public_key", "plan_text", "plan_hash", "rp_id",
    "origin", "credential",
)  # fmt: skip
"""The columns that the seal covers, beside the time."""


class SignatureInvalid(Exception):
    """A stored signature proves nothing; the text says why, as a clause for people."""


@dataclass(frozen=True, slots=True)
class SignedPlan:
    """A plan that a person signed, as it is stored. `plan` are the members of the signed JSON."""

    id: str
    action: str
    subject: str
    person: str
    actor: str
    caller_role: str
    passkey_id: str
    credential_id: str
    public_key: str
    plan_text: str
    plan_hash: str
    rp_id: str
    origin: str
    credential: str
    signed_at: datetime
    seal: str
    key_id: str

    @property
    def plan(self) -> Mapping[str, Any]:
        """The members of the plan."""
        return dict(orjson.loads(self.plan_text))


def passkey_seal(ring: KeyRing, *, person: str, credential_id: str, public_key: str) -> tuple[str, str]:
    """Return the seal that binds a passkey to its person, and the id of the key that made it."""
    key = ring.first(PASSKEY_PURPOSE)
    return _passkey_mac(key, person, credential_id, public_key), key.id


def passkey_is_sealed(ring: KeyRing, row: Any) -> bool:
    """Return whether a row of `passkeys` was written by this service: nobody exchanged its person or its key."""
    keys = {key.id: key for key in ring.all(PASSKEY_PURPOSE)}
    key = keys.get(row.key_id)
    return key is not None and _passkey_mac(key, row.person, row.credential_id, row.public_key) == row.seal


def _passkey_mac(key: DerivedKey, person: str, credential_id: str, public_key: str) -> str:
    return key.mac(orjson.dumps([person, credential_id, public_key])).hex()


async def store(conn: AsyncConnection, ring: KeyRing, values: Mapping[str, Any], signed_at: datetime) -> str:
    """Store a signature that was just verified; return its seal, which the audit trail records. `values` are the columns but the seal."""
    key = ring.first(PURPOSE)
    seal = _seal(key, values, signed_at)
    await conn.execute(
        sa.insert(plan_signatures).values(**values, signed_at=signed_at, seal=seal, key_id=key.id),
    )
    return seal


async def of_subject(conn: AsyncConnection, subject: str) -> Sequence[SignedPlan]:
    """Return the signed plans about one subject, the newest first."""
    query = sa.select(plan_signatures).where(plan_signatures.c.subject == subject)
    return [_signed(row) for row in await conn.execute(query.order_by(plan_signatures.c.signed_at.desc()))]


async def page(conn: AsyncConnection, *, after: str, limit: int) -> Sequence[SignedPlan]:
    """Return up to `limit` signed plans with ids above `after`, in the order of their ids."""
    query = sa.select(plan_signatures).where(plan_signatures.c.id > after).order_by(plan_signatures.c.id).limit(limit)
    return [_signed(row) for row in await conn.execute(query)]


async def removed(conn: AsyncConnection, passkey_id: str) -> bool:
    """Return whether this passkey was removed since, or is not stored at all."""
    row = (await conn.execute(sa.select(passkeys.c.removed_at).where(passkeys.c.id == passkey_id))).first()
    return row is None or row.removed_at is not None


def verify(signed: SignedPlan, ring: KeyRing) -> None:
    """Verify seal, hash and signature of a stored plan, with nothing but its row and the ring. Raises SignatureInvalid."""
    keys = {key.id: key for key in ring.all(PURPOSE)}
    key = keys.get(signed.key_id)
    if key is None:
        raise SignatureInvalid(f"it was sealed under key {signed.key_id}, which is not in the key ring")
    columns = {name: getattr(signed, name) for name in _SEALED}
    if _seal(key, columns, signed.signed_at) != signed.seal:
        raise SignatureInvalid("its row was changed, or this service never wrote it")
    challenge = plan_hash(signed.plan_text)
    if "0x" + challenge.hex() != signed.plan_hash:
        raise SignatureInvalid("its hash is not that of its plan")
    members = signed.plan
    if (members["action"], members["subject"], members["person"]) != (signed.action, signed.subject, signed.person):
        raise SignatureInvalid("the plan names another action, subject or person than its row")
    party = RelyingParty(signed.rp_id, (signed.origin,))
    try:
        verify_assertion(
            orjson.loads(signed.credential),
            challenge=challenge,
            party=party,
            credential_id=signed.credential_id,
            public_key=signed.public_key,
            sign_count=None,
        )
    except (WebAuthnRefused, ValueError) as error:
        raise SignatureInvalid("the passkey's signature does not fit the plan") from error


def _seal(key: DerivedKey, values: Mapping[str, Any], signed_at: datetime) -> str:
    moment = signed_at.astimezone(UTC).isoformat(timespec="microseconds")
    return key.mac(orjson.dumps([*(values[name] for name in _SEALED), moment])).hex()


def _signed(row: Any) -> SignedPlan:
    return SignedPlan(**row._mapping)
