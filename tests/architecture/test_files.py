"""The tree holds text that a person can read: no binaries, no large files."""

import fnmatch
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAX_BYTES = 100_000
LARGE = {"requirements.lock", "requirements-dev.lock", "requirements-setup.lock", "package-lock.json"}
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
