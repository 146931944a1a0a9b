"""The makers of a key: the persons who made it, and those who made the keys that made it.

A person who makes or rotates a key learns its secret, and can act with it as another person. So an admin who makes an admin key
for "bob", and with that key an approver's key for "carol", is a maker of carol's key, like bob, and may confirm neither key.
Each secret is stored with all its makers, so that they are known even after an older secret is pruned.

Keys made with `onramp keys` on the database have no maker, because access to the database and DATA_KEYS needs no API key. An
admin's key that another admin made therefore always has makers; a new secret from `onramp keys rotate` removes them once the
overlap of the earlier secret has ended.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.table import entries
from kit.persons import comparable, same_person
from onramp.auth.api_keys.table import api_key_secrets, api_keys

_INVITATIONS = sa.table("invitations", sa.column("id"), sa.column("created_by"), sa.column("makers", sa.JSON))
_IDENTITIES = sa.table("oidc_identities", sa.column("id"), sa.column("person"))
_MAKING = ("key.create", "key.rotate")


async def behind(conn: AsyncConnection, actor: str, now: datetime) -> frozenset[str]:
    """Return the makers of a key that `actor` (the id of a key, an invitation or a provider's person) makes at `now`; none for the local operator.

    They are the actor's own person and the makers of each of its secrets that works or will work.
    """
    return await _walk(conn, {actor}, now)


async def of_key(conn: AsyncConnection, key_id: str, now: datetime) -> frozenset[str]:
    """Return the makers of this key and of its newest secret, even if they no longer hold a secret."""
    row = (await conn.execute(sa.select(api_keys).where(api_keys.c.id == key_id))).one()
    newest = sa.and_(api_key_secrets.c.key_id == key_id, api_key_secrets.c.expires_at.is_(None))
    secret = (await conn.execute(sa.select(api_key_secrets.c.makers).where(newest))).first()
    if row.makers is None or secret is None or secret.makers is None:
        return await _walk(conn, await _authors(conn, key_id, row.created_by), now)
    return frozenset((*row.makers, *secret.makers))


def includes(persons: Collection[str], person: str) -> bool:
    """Return whether `person` is one of `persons`, or has to be treated as the same person as one of them."""
    return any(same_person(maker, person) for maker in persons)


async def _walk(conn: AsyncConnection, actors: Collection[str], now: datetime) -> frozenset[str]:
    persons: set[str] = set()
    waiting, seen = set(actors), set[str]()
    while waiting:
        actor = waiting.pop()
        if actor in seen:
            continue
        seen.add(actor)
        invited = (await conn.execute(sa.select(_INVITATIONS).where(_INVITATIONS.c.id == actor))).first()
        if invited is not None:
            persons.update(invited.makers or ())
            waiting.add(invited.created_by)
        key = (await conn.execute(sa.select(api_keys).where(api_keys.c.id == actor))).first()
        if key is None:
            logged_in = (await conn.execute(sa.select(_IDENTITIES).where(_IDENTITIES.c.id == actor))).first()
            persons.update(() if logged_in is None else (comparable(logged_in.person),))
            continue
        persons.add(comparable(key.person))
        for secret in await _usable(conn, actor, now):
            if secret.makers is None:
                waiting |= await _authors(conn, actor, key.created_by)
            else:
                persons.update(secret.makers)
    return frozenset(persons)


async def _usable(conn: AsyncConnection, key_id: str, now: datetime) -> "list[sa.Row[Any]]":
    c = api_key_secrets.c
    works = sa.and_(c.key_id == key_id, sa.or_(c.expires_at.is_(None), c.expires_at > now))
    return list(await conn.execute(sa.select(c.makers).where(works)))


async def _authors(conn: AsyncConnection, key_id: str, created_by: str) -> set[str]:
    """Return everyone who ever made or rotated this key: for secrets of earlier versions, which did not store their makers."""
    made = sa.select(entries.c.actor).where(entries.c.subject == key_id, entries.c.action.in_(_MAKING))
    return {created_by, *(await conn.execute(made)).scalars()}
