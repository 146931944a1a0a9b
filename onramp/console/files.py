"""The console's files: read once, answered from memory, each also compressed. They are the modules as written; nothing builds or bundles them."""

import base64
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kit.logs import get_logger
from onramp.client.files import ServedFile, ServedFiles
from onramp.console.vendored import VENDORED

log = get_logger(__name__)
STATIC: Final = Path(__file__).resolve().parent / "static"
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class ConsoleFiles:
    """The document, and every file that it loads, by its path below `static`."""

    document: ServedFile
    tree: str
    """A hash of all files, under which they are immutable: `/console/TREE/app.js`. Modules import each other by relative paths."""
    files: Mapping[str, ServedFile]


def load(built: ServedFiles | None, folder: Path = STATIC) -> ConsoleFiles | None:
    """Return the console's files, with the libraries of the client's build; None if one is missing or is not the reviewed one."""
    libraries = (
        {} if built is None else {name: file for name in VENDORED if (file := built.files.get(f"console/{name}"))}
    )
    problem = vendored_problem({name: file.bodies["identity"] for name, file in libraries.items()})
    if problem is not None:
        log.warning("console.not_served", detail=problem)
        return None
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in _TYPES and path.is_file()]
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    document = contents.pop("index.html")
    files = {name: _served(name, body) for name, body in contents.items()}
    files |= {f"vendor/{name}": file for name, file in libraries.items()}
    lines = "".join(f"{name} {file.hash}\n" for name, file in sorted(files.items()))
    tree = hashlib.sha256(lines.encode()).hexdigest()[:16]
    return ConsoleFiles(_served("index.html", document.replace(b"__TREE__", tree.encode())), tree, files)


def vendored_problem(contents: Mapping[str, bytes]) -> str | None:
    """Return which library is missing from `contents` or has another hash than the reviewed one; None if all are right."""
    for name, expected in VENDORED.items():
        content = contents.get(name)
        if content is None:
            return f"{name} is missing; `make setup` copies it"
        if base64.b64encode(hashlib.sha512(content).digest()).decode() != expected:
            return f"{name} is not the file that was reviewed: its SHA-512 differs from onramp/console/vendored.py"
    return None


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


def _served(name: str, body: bytes) -> ServedFile:
    bodies = {"identity": body, "gzip": gzip.compress(body, 9, mtime=0)}
    return ServedFile(_TYPES[name[name.rindex(".") :]], _hash(body), bodies, is_development=False)
