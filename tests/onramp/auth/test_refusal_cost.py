"""A refusal takes the same work whatever is wrong with the credential; the work is counted in hashes and statements, not timed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kit.clock import SystemClock
from kit.crypto.keyring import DerivedKey, KeyRing
from kit.db.database import Database
from kit.http.problems import Problem
from onramp.auth.api_keys import service
from onramp.auth.api_keys.authenticator import ApiKeyAuthenticator
from onramp.auth.api_keys.service import Author
from onramp.auth.api_keys.table import api_key_secrets
from onramp.auth.invitations import service as invitations_service
from onramp.config.fields import DEVELOPMENT_KEY

OLD = bytes(range(32))


@dataclass(slots=True)
class Work:
    """The work done: the lengths of hashed inputs, and the statements."""

    hashed: list[int] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)


class CountedKey:
    """A key that records what it hashes, and otherwise behaves as the real one."""

    def __init__(self, key: DerivedKey, work: Callable[[], Work]) -> None:
        self._key = key
        self._work = work

    def mac(self, message: bytes) -> bytes:
        self._work().hashed.append(len(message))
        return self._key.mac(message)


class Bench:
    """A database and a key ring that count their uses."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.work = Work()
        bench = self

        class CountingRing(KeyRing):
            def all(self, purpose: str) -> Any:
                return tuple(CountedKey(key, lambda: bench.work) for key in super().all(purpose))

        self.ring = CountingRing([DEVELOPMENT_KEY, OLD], "onramp")
        sa.event.listen(database.engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        assert not many
        self.work.asked.append((statement, len(parameters)))

    @asynccontextmanager
    async def counted(self) -> AsyncIterator[Work]:
        self.work = Work()
        yield self.work


def near(secret: str, place: int) -> str:
    return secret[:place] + ("a" if secret[place] != "a" else "b") + secret[place + 1 :]


@pytest.fixture
async def bench(database: Database) -> Bench:
    return Bench(database)


async def make(bench: Bench, name: str, ring: KeyRing | None = None) -> str:
    secret, author = service.new_secret(), Author("machine", datetime.now(UTC), is_production=False)
    async with bench.database.write() as conn:
        await service.create(
            conn, author, key_id=f"key_{name}", secret=secret, ring=ring or bench.ring, role="viewer", name=name,
            person=name,
        )  # fmt: skip
    return secret


async def test_a_key_is_refused_with_the_same_work_whatever_is_wrong_with_it(bench: Bench) -> None:
    good, revoked, lapsed = await make(bench, "good"), await make(bench, "revoked"), await make(bench, "lapsed")
    old = await make(bench, "old", KeyRing([OLD], "onramp"))
    author = Author("machine", datetime.now(UTC), is_production=False)
    async with bench.database.write() as conn:
        for key in ("key_revoked", "key_old"):
            await service.revoke(conn, author, key)
        past = datetime.now(UTC) - timedelta(seconds=1)
        of_lapsed = api_key_secrets.c.key_id == "key_lapsed"
        await conn.execute(sa.update(api_key_secrets).where(of_lapsed).values(expires_at=past))
    refused = {
        "one that never was": service.new_secret(),
        "wrong in its first letter": near(good, len(service.PREFIX)),
        "wrong in its last letter": near(good, len(good) - 1),
        "revoked": revoked,
        "past its overlap": lapsed,
        "revoked, under an older server key": old,
    }
    found = {}
    for name, secret in refused.items():
        keeper = ApiKeyAuthenticator(bench.database, bench.ring, SystemClock())
        async with bench.counted() as work:
            for _ in range(2):  # a refusal is not remembered: the second takes what the first took
                assert await keeper.resolve(secret) is None
        found[name] = work
    first = next(iter(found.values()))
    questions = [statement for statement, _ in first.asked if statement.startswith("SELECT")]
    assert len(questions) == 2 and len(first.hashed) == 4, "one question, one hash for each server key"
    assert found == dict.fromkeys(found, first)
    assert await ApiKeyAuthenticator(bench.database, bench.ring, SystemClock()).resolve(good) is not None


async def test_a_link_is_refused_with_the_same_work_whatever_is_wrong_with_it(bench: Bench) -> None:
    now = datetime.now(UTC)
    author = Author("machine", now, is_production=False)
    tokens = {name: invitations_service.new_token() for name in ("used", "withdrawn", "expired", "open")}
    async with bench.database.write() as conn:
        for name, token in tokens.items():
            await invitations_service.invite(
                conn, author, invitation_id=f"inv_{name}", token=token, ring=bench.ring, role="viewer", name=name,
                person=name, valid_for=timedelta(seconds=-1) if name == "expired" else timedelta(hours=1),
            )  # fmt: skip
        await invitations_service.withdraw(conn, author, "inv_withdrawn")
    await accept(bench, tokens["used"])
    refused = [
        tokens["used"],
        tokens["withdrawn"],
        tokens["expired"],
        invitations_service.new_token(),
        near(tokens["open"], 9),
    ]
    found = []
    for token in refused:
        async with bench.counted() as work:
            with pytest.raises(Problem) as problem:
                await accept(bench, token)
        found.append((work, problem.value.document("", "urn:")))
    assert found == [found[0]] * len(refused)
    await accept(bench, tokens["open"])


async def accept(bench: Bench, token: str) -> None:
    async with bench.database.write() as conn:
        await invitations_service.accept(
            conn, token=token, ring=bench.ring, key_id="key_" + token[-9:], secret=service.new_secret(),
            now=datetime.now(UTC), is_production=True,
        )  # fmt: skip


async def test_every_refusal_reads_the_same(service: Any) -> None:
    async def refusal(headers: Sequence[tuple[str, str]]) -> tuple[int, Any, dict[str, str]]:
        async with service.http.get(f"{service.api}/api/v1/treasury/audit", headers=headers) as answer:
            body = await answer.json(content_type=None)
            kept = {
                name: value for name, value in answer.headers.items() if name.lower() not in {"date", "x-request-id"}
            }
            kept["Content-Length"] = ""
            return answer.status, {**body, "requestId": ""}, kept

    answers = await asyncio.gather(
        refusal([]),
        refusal([("Authorization", "Bearer ork_" + "a" * 52)]),
        refusal([("Authorization", "Bearer ork_short")]),
        refusal([("Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIweCJ9.")]),
        refusal([("Authorization", "Basic YTpi")]),
    )
    assert list(answers) == [answers[0]] * 5 and answers[0][0] == 401
