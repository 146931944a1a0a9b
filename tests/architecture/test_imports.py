"""Who imports whom: packages in one direction, production nothing made for development, tests only `tests/support`."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kit", "chain", "treasury", "onramp")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for layer in LAYERS
    for path in (ROOT / layer).rglob("*.py")
    if "versions" not in path.parts
}


def package_of(module: str) -> str:
    """Return the package of a module. A module directly in a layer's folder counts as one package."""
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


def imports_of_tests(source: str) -> Iterator[str]:
    """Yield the modules below `tests` that this source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if f"{alias.name}.".startswith("tests."))
        elif isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("tests."):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_forbidden(importer: str, imported: str) -> bool:
    """Return whether a file below `tests`, by its name, may not import this module or this member of a module.

    Tests and fixtures import `tests.support` alone. The programs beside them, such as the benchmark, may import each other.
    """
    is_shared = imported.startswith("tests.support.")
    is_program = not importer.startswith(("test_", "conftest"))
    is_test = any(part.startswith(("test_", "conftest")) for part in imported.split("."))
    return not is_shared and (is_test or not is_program)


def test_test_modules_do_not_import_each_other() -> None:
    faults = [
        f"{path.relative_to(ROOT)} imports {imported}: move what both need to tests/support"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for imported in imports_of_tests(path.read_text())
        if is_forbidden(path.name, imported)
    ]
    assert faults == []


@pytest.mark.parametrize(
    ("importer", "line", "expected"),
    [
        ("test_a.py", "from tests.support.clocks import OffsetClock", False),
        ("test_a.py", "from tests.kit.test_b import helper", True),
        ("test_a.py", "import tests.kit.test_b as b", True),
        ("test_a.py", "from tests.kit import test_b", True),
        ("test_a.py", "def test():\n    from tests.kit.conftest import KEY", True),
        ("conftest.py", "from tests.bench.load import run", True),
        ("load.py", "from tests.bench.rows import ROWS", False),
        ("load.py", "from tests.kit.test_b import helper", True),
        ("load.py", "from tests.kit import test_b", True),
        ("clocks.py", "from tests.kit.conftest import KEY", True),
    ],
)
def test_an_import_between_tests_is_recognised(importer: str, line: str, expected: bool) -> None:
    assert [is_forbidden(importer, imported) for imported in imports_of_tests(line)] == [expected]
