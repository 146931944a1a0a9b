"""Packages import each other in one direction, and production code imports nothing made for development."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kit", "chain", "treasury", "onramp")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for layer in LAYERS
    for path in (ROOT / layer).rglob("*.py")
    if "versions" not in path.parts
}


def package_of(module: str) -> str:
    """Return the package of a module. A module directly in a layer's folder counts as a package of its own."""
    is_package = FILES[module].name == "__init__.py"
    return module if is_package or module.count(".") < 2 else module.rpartition(".")[0]


def imports(module: str) -> Iterator[str]:
    """Yield the modules of ours that `module` imports, those inside functions and for type checking included."""
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        elif isinstance(node, ast.ImportFrom) and node.module in FILES:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in FILES else node.module for name in names)


def test_packages_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module in FILES:
        graph.setdefault(package_of(module), set()).update(map(package_of, imports(module)))
    for package, imported in graph.items():
        imported.discard(package)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"packages import each other: {' <- '.join(error.args[1])}") from error


def test_only_the_dev_command_imports_what_is_made_for_development() -> None:
    outside = {module for module in FILES if not module.startswith("onramp.dev")}
    importers = {
        module for module in outside for imported in imports(module) if f"{imported}.".startswith("onramp.dev.")
    }
    assert importers == {"onramp.cli.running"}
