"""Which versions of the code can use a database: it may be newer than the code, so that a release needs no downtime and can be rolled back.

Each migration declares COMPATIBLE_SINCE, the oldest revision whose code can still use the database after it. The database keeps the
newest such declaration, because older code does not have the file that made it. Versions before 0017 do not read it: they serve only
the revision that they were released with.
"""

from dataclasses import dataclass
from enum import Enum

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import metadata

compatibility = sa.Table(
    "schema_compatibility",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column(
        "compatible_since",
        sa.String(32),
        nullable=False,
        comment="the oldest revision whose code can use this database",
    ),
)
_ROW = "schema"


class Fit(Enum):
    """The relation of a database's revision to the one of the code."""

    CURRENT = "current"
    OLDER = "older"
    NEWER = "newer, and usable"
    TOO_NEW = "newer, and not usable"


@dataclass(frozen=True, slots=True)
class Schema:
    """A database's revision, compared with the one that the code was written for."""

    fit: Fit
    found: str | None
    wanted: str
    since: str | None = None

    @property
    def is_usable(self) -> bool:
        """Whether this code can read and write the database."""
        return self.fit in {Fit.CURRENT, Fit.NEWER}

    def __str__(self) -> str:
        """Return one sentence for operators, without what was done or not done about it."""
        match self.fit:
            case Fit.CURRENT:
                return f"The database is at {self.found}."
            case Fit.OLDER:
                at = f"at {self.found}" if self.found else "empty"
                return (
                    f"The database is {at}, older than this version, which needs {self.wanted}: run `onramp migrate`."
                )
            case Fit.NEWER:
                return f"The database is at {self.found}, newer than this version's {self.wanted}, which can use it."
            case Fit.TOO_NEW:
                since = (
                    f"only versions from {self.since} on can use it" if self.since else "this version does not know it"
                )
                return (
                    f"The database is at {self.found}, newer than this version's {self.wanted}, and {since}: deploy the newer "
                    "version again, or restore a backup from before the migration."
                )


def judge(found: str | None, since: str | None, known: list[str]) -> Schema:
    """Compare a database with the code, and return the result.

    `found` is the database's revision, `since` its declaration of compatibility, `known` the revisions of the code, oldest first.
    """
    wanted = known[-1]
    if found == wanted:
        return Schema(Fit.CURRENT, found, wanted)
    if found is None or found in known:
        return Schema(Fit.OLDER, found, wanted)
    # History is one line: code that has the declared revision is at least as new as it.
    return Schema(Fit.NEWER if since in known else Fit.TOO_NEW, found, wanted, since)


async def declared(connection: AsyncConnection) -> str | None:
    """Return the declaration of compatibility that the database keeps; None if no migration from 0017 on has stored one."""
    if not await connection.run_sync(lambda sync: sa.inspect(sync).has_table(compatibility.name)):
        return None
    found: str | None = await connection.scalar(sa.select(compatibility.c.compatible_since))
    return found


def declare(connection: sa.Connection, since: str) -> None:
    """Keep the newest declaration, in the transaction of the migration. A history that ends before the table keeps none."""
    if sa.inspect(connection).has_table(compatibility.name):
        connection.execute(sa.delete(compatibility))
        connection.execute(sa.insert(compatibility).values(id=_ROW, compatible_since=since))
