"""Every room has the same furniture, and each piece keeps to its work."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("kit", "chain", "treasury", "onramp")
ROOMS = sorted(
    path.parent
    for floor in FLOORS
    for path in (ROOT / floor).rglob("table.py")
    if (path.parent / "__init__.py").exists()
)
ROUTES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("routes.py"))
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))


def _modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _under(modules: set[str], *roots: str) -> set[str]:
    return {name for name in modules if any(name == root or name.startswith(root + ".") for root in roots)}


def _title(room: Path) -> str:
    return room.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("room", ROOMS, ids=_title)
def test_a_room_with_a_table_has_verbs_and_says_what_it_is(room: Path) -> None:
    assert (room / "service.py").exists()
    assert ast.get_docstring(ast.parse((room / "__init__.py").read_text()))


@pytest.mark.parametrize("room", [room for room in ROOMS if (room / "states.py").exists()], ids=_title)
def test_a_machine_is_pure(room: Path) -> None:
    outside = _under(
        _modules(room / "states.py"),
        "sqlalchemy",
        "aiohttp",
        "asyncio",
        "stripe",
        "chain",
        "kit.db",
        "kit.clock",
    )
    assert outside == set()
    assert not any(
        isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(ast.parse((room / "states.py").read_text()))
    )


@pytest.mark.parametrize("path", ROUTES, ids=_title)
def test_routes_hold_no_sql_no_node_and_no_stripe(path: Path) -> None:
    assert (
        _under(
            _modules(path),
            "sqlalchemy",
            "kit.db.bulk",
            "kit.db.cas",
            "kit.db.inserts",
            "kit.db.leases",
            "chain.pool",
            "chain.node",
            "stripe",
            "onramp.stripe",
        )
        == set()
    )


@pytest.mark.parametrize("room", ROOMS, ids=_title)
def test_a_verb_works_in_its_callers_transaction(room: Path) -> None:
    # What opens a transaction cannot be composed with another verb; routes and workers open, verbs do not.
    assert not re.search(r"^from kit\.database import .*\bconnect\b", (room / "service.py").read_text(), re.MULTILINE)


def test_decisions_are_numbered_without_a_gap_and_have_one_form() -> None:
    assert [path.name[:4] for path in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
    for path in DECISIONS:
        assert re.findall(r"^#+ .*", path.read_text(), re.MULTILINE)[1:] == [
            "## Context",
            "## Decision",
            "## Consequences",
        ], path.name
