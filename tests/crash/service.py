"""The service in its own process, which kills itself with SIGKILL before its nth commit that matters."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

import kit.db.database
from kit.db.atomic import BulkWrite, execute_atomically
from kit.db.database import Database
from onramp.bootstrap.server import serve_forever
from onramp.bootstrap.workers import WORKERS
from onramp.config.loader import load
from onramp.deliveries import transfer_matcher

TABLES = ("sessions", "transfers", "webhook_events", "treasury_payouts", "treasury_transactions", "treasury_attempts")
_touched: set[int] = set()
_left = int(sys.argv[1])


def _matters(statement: str) -> bool:
    words = statement.lstrip().split(None, 3)
    return words[0].upper() in {"INSERT", "UPDATE", "DELETE"} and any(word.strip('"') in TABLES for word in words)


@sa.event.listens_for(sa.Engine, "after_cursor_execute")
def _executed(connection: sa.Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
    if _matters(statement):
        _touched.add(id(connection))


@sa.event.listens_for(sa.Engine, "commit")
def _committing(connection: sa.Connection) -> None:
    if id(connection) in _touched:
        _touched.discard(id(connection))
        _count()


def _count() -> None:
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


class Dying(Database):
    """A single statement is a transaction and commits at once."""

    async def autocommit(self, statement: str, *parameters: Any) -> Sequence[Any]:
        if _matters(statement):
            _count()
        return await super().autocommit(statement, *parameters)


async def _counted(database: Database, writes: Sequence[BulkWrite]) -> bool:
    if any(_matters(write.text) for write in writes):
        _count()
    return await execute_atomically(database, writes)


kit.db.database.Database = Dying  # type: ignore[misc] # `connect` uses the class under this name
transfer_matcher.execute_atomically = _counted  # type: ignore[attr-defined] # in the one place that uses it


@sa.event.listens_for(sa.Engine, "rollback")
def _rolled_back(connection: sa.Connection) -> None:
    _touched.discard(id(connection))


serve_forever(load(), WORKERS)
