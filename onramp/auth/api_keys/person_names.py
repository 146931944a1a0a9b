"""Check the name of a key's person: it is refused if it could be mistaken for another person's."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit import persons
from kit.http.problems import FieldError, invalid
from onramp.auth.api_keys.table import api_keys
from onramp.config.person_rules import ID_PREFIXES, RESERVED

_IDENTITIES = sa.table("oidc_identities", sa.column("person"))
_INVITATIONS = sa.table("invitations", sa.column("person"), sa.column("closed_at"))


async def require(conn: AsyncConnection, person: str) -> None:
    """Raise Problem 422, naming the rule, for a name that is not allowed or that looks like another person's.

    Other persons are those of all keys, including revoked ones, of open invitations, and of logins through the provider. The caller holds the lock under which
    keys and invitations are made, so that two similar names cannot be stored at the same time.
    """
    rule = persons.name_problem(person, reserved=RESERVED, id_prefixes=ID_PREFIXES)
    if rule is not None:
        raise invalid([FieldError("/person", rule)])
    keys = sa.select(api_keys.c.person)
    invited = sa.select(_INVITATIONS.c.person).where(_INVITATIONS.c.closed_at.is_(None))
    logged_in = sa.select(_IDENTITIES.c.person)
    known = (await conn.execute(keys.union(invited, logged_in))).scalars().all()
    other = persons.find_lookalike(person, known)
    if other is not None:
        raise invalid(
            [
                FieldError(
                    "/person",
                    f"looks like the person {other!r}: write it the same for the same person, or choose a clearer name",
                )
            ]
        )
