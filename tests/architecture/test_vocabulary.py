"""Names use the words of `docs/glossary.md`; its list of retired words is refused."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kit", "chain", "treasury", "onramp")


def retired() -> set[str]:
    """The left column of the glossary's last table."""
    table = (ROOT / "docs" / "glossary.md").read_text().partition("## Retired words")[2]
    return set(re.findall(r"^\| ([a-z]+) \| \S", table, re.MULTILINE)) - {"retired"}


def words(name: str) -> set[str]:
    """The words of an identifier in snake case or camel case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def names(source: str) -> list[str]:
    """The classes and functions that a module defines."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


def test_the_glossary_has_a_list() -> None:
    assert len(retired()) >= 10


def test_no_module_class_or_function_has_a_retired_word_in_its_name() -> None:
    refused = retired()
    faults = []
    for folder in (*LAYERS, "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "versions" in path.parts:  # migrations keep the names they were released with
                continue
            defined = [*path.relative_to(ROOT).with_suffix("").parts, *names(path.read_text())]
            if folder == "tests":  # a test's name is a sentence, and may say what the glossary says instead of "trail"
                defined = [name.replace("audit_trail", "") for name in defined]
            faults += [f"{path.relative_to(ROOT)}: {name}" for name in defined if words(name) & refused]
    assert faults == []


@pytest.mark.parametrize("name", ["Desk", "make_anew", "_PaymentDesk", "DOORStep", "audit_trail"])
def test_a_retired_word_is_recognised_anywhere_in_a_name(name: str) -> None:
    assert words(name) & {"desk", "anew", "door", "trail"}


@pytest.mark.parametrize("name", ["desktop", "indoors", "trailing"])
def test_longer_words_are_not_confused_with_retired_ones(name: str) -> None:
    assert not words(name) & {"desk", "door", "anew", "trail"}
