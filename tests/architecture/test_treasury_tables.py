"""Only the treasury's own queries read and write the treasury's tables."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MIGRATIONS = Path("onramp/migrations/tables.py")
"""Imports every table so that migrations know it."""


def imported(tree: ast.AST) -> set[str]:
    """Return the dotted names of the modules, or names in modules, that a file imports."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_no_module_of_onramp_imports_a_table_of_the_treasury() -> None:
    tables = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "treasury").rglob("table.py")}
    assert len(tables) >= 8
    found = {
        str(path.relative_to(ROOT)): sorted(tables & imported(ast.parse(path.read_text())))
        for path in (ROOT / "onramp").rglob("*.py")
        if path.relative_to(ROOT) != MIGRATIONS
    }
    assert {name: modules for name, modules in found.items() if modules} == {}
