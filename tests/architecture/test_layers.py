"""Layers import only the layers below them; import-linter checks that, and this file checks what it cannot."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kit", "chain", "treasury", "onramp")
SOURCES = [path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")]


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_is_ours_and_not_a_library_of_that_name(layer: str) -> None:
    assert Path(importlib.import_module(layer).__file__ or "").resolve().is_relative_to(ROOT)


def test_only_chain_imports_web3() -> None:
    assert [path for path in SOURCES if "web3" in _imports(path) and not path.is_relative_to(ROOT / "chain")] == []


def test_the_environment_is_read_in_one_place() -> None:
    # Development servers, and the debug switch of the command line, pass an environment on; they decide nothing by it. Code samples
    # contain the word.
    allowed = {
        "onramp/dev/chain/anvil.py",
        "onramp/dev/local/host.py",
        "onramp/dev/kms/keyservice.py",
        "onramp/cli/__init__.py",
        "kit/http/code_samples.py",
    }
    readers = {
        path.relative_to(ROOT).as_posix() for path in SOURCES if re.search(r"\benviron\b|\bgetenv\b", path.read_text())
    }
    assert readers <= allowed
