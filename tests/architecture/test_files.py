"""The tree holds text that a person can read: no binaries, no large files, no long source files or functions."""

import ast
import fnmatch
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kit", "chain", "treasury", "onramp")
MAX_BYTES = 100_000
MAX_FILE_LINES = 300
MAX_LINES = 60
"""Of a function, with its docstring."""
LARGE = {
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-setup.lock",
    "requirements-contract.lock",
    "requirements-release.lock",
    "package-lock.json",
    "client/package-lock.json",
}
"""Locks may be large."""
IMAGES = "docs/images/*.png"
"""Screenshots may be binary, and are as small as everything else."""


def _ignored() -> list[str]:
    lines = (ROOT / ".gitignore").read_text().splitlines()
    return [".git", *(line.rstrip("/") for line in lines if line and not line.startswith("#"))]


def _files() -> list[Path]:
    ignored = _ignored()
    result = []
    for folder, folders, names in os.walk(ROOT):
        kept = [name for name in [*folders, *names] if not any(fnmatch.fnmatch(name, rule) for rule in ignored)]
        folders[:] = [name for name in folders if name in kept]
        result += [Path(folder, name) for name in names if name in kept]
    return result


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def test_no_file_is_large_or_binary() -> None:
    files = _files()
    assert len(files) > 500
    faults = []
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        content = path.read_bytes()
        if len(content) > MAX_BYTES and name not in LARGE:
            faults.append(f"{name}: {len(content)} bytes")
        if not _is_text(content) and not fnmatch.fnmatch(name, IMAGES):
            faults.append(f"{name}: binary")
    assert faults == []


def test_a_binary_is_recognised() -> None:
    assert _is_text("ä = 1\n".encode())
    assert not _is_text(b"\x89PNG\r\n")
    assert not _is_text(b"a\0b")


def test_source_files_and_functions_are_small() -> None:
    faults = []
    for folder in (*LAYERS, "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "versions" in path.parts:  # a migration is one step, however many tables it changes
                continue
            source = path.read_text()
            name = path.relative_to(ROOT).as_posix()
            if (lines := source.count("\n")) > MAX_FILE_LINES:
                faults.append(f"{name}: {lines} lines")
            faults += [f"{name}: {title} has {lines} lines" for title, lines in _functions(source) if lines > MAX_LINES]
    assert faults == []


def test_the_clients_files_are_small() -> None:
    files = [
        path
        for folder in ("src", "test", "checkout", "example/src")
        for path in sorted((ROOT / "client" / folder).rglob("*"))
    ]
    lines = {path.relative_to(ROOT).as_posix(): path.read_text().count("\n") for path in files if path.is_file()}
    assert len(lines) > 20
    # The last one is written by `make docs`.
    assert {name for name, count in lines.items() if count > MAX_FILE_LINES} <= {"client/src/schema.ts"}


def _functions(source: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1
