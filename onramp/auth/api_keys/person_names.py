"""Whether a key may belong to a person of this name: refused where the name could pass for somebody else's."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit import persons
from kit.http.problems import FieldError, invalid
from onramp.auth.api_keys.table import api_keys

_INVITATIONS = sa.table("invitations", sa.column("person"), sa.column("closed_at"))


async def require(conn: AsyncConnection, person: str) -> None:
    """Raise Problem 422, which names the rule, for a name that no person may have or that looks like another person's.

    Other persons are those of all keys, revoked ones too, and of open invitations. The caller holds the lock under which
    keys and invitations are made, so that two names alike are not stored side by side.
    """
    rule = persons.refusal(person)
    if rule is not None:
        raise invalid([FieldError("/person", rule)])
    keys = sa.select(api_keys.c.person)
    invited = sa.select(_INVITATIONS.c.person).where(_INVITATIONS.c.closed_at.is_(None))
    known = (await conn.execute(keys.union(invited))).scalars().all()
    other = persons.looks_like(person, known)
    if other is not None:
        raise invalid(
            [
                FieldError(
                    "/person",
                    f"looks like the person {other!r}: write it the same for the same person, or choose a clearer name",
                )
            ]
        )
