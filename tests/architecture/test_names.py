"""One name for one thing: aliases of imported modules."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kit", "chain", "treasury", "onramp")
SOURCES = [path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")]


def test_a_service_module_is_imported_under_its_packages_name() -> None:
    wrong = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in LAYERS:
                wanted = node.module.rpartition(".")[2] + "_service"
                wrong += [
                    f"{path.relative_to(ROOT)}:{node.lineno}: {alias.asname} should be {wanted}"
                    for alias in node.names
                    if alias.name == "service" and alias.asname != wanted
                ]
    assert wrong == []
