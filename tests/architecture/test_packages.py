"""The modules that packages have in common keep to their job."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kit", "chain", "treasury", "onramp")
PACKAGES = sorted(
    path.parent
    for layer in LAYERS
    for path in (ROOT / layer).rglob("table.py")
    if (path.parent / "__init__.py").exists()
)
ROUTES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("routes.py"))


def _modules(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _under(modules: set[str], *roots: str) -> set[str]:
    return {name for name in modules if any(name == root or name.startswith(root + ".") for root in roots)}


def _title(package: Path) -> str:
    return package.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("package", PACKAGES, ids=_title)
def test_a_package_with_a_table_has_operations_and_a_docstring(package: Path) -> None:
    assert (package / "service.py").exists()
    assert ast.get_docstring(ast.parse((package / "__init__.py").read_text()))


@pytest.mark.parametrize("package", [package for package in PACKAGES if (package / "states.py").exists()], ids=_title)
def test_a_state_machine_is_pure(package: Path) -> None:
    impure = _under(
        _modules(package / "states.py"),
        "sqlalchemy",
        "aiohttp",
        "asyncio",
        "stripe",
        "chain",
        "kit.db",
        "kit.clock",
    )
    assert impure == set()
    assert not any(
        isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(ast.parse((package / "states.py").read_text()))
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


@pytest.mark.parametrize("package", PACKAGES, ids=_title)
def test_an_operation_works_in_its_callers_transaction(package: Path) -> None:
    # An operation that opens a transaction cannot be combined with another one; routes and workers open transactions.
    assert not re.search(
        r"^from kit\.db\.database import .*\bconnect\b", (package / "service.py").read_text(), re.MULTILINE
    )
