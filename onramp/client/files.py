"""The files that the build of `client/` wrote for the service: read once, answered from memory, compressed if the client takes that."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from kit.http.conditional import conditional
from kit.http.problems import Problem

SERVED: Final = Path(__file__).resolve().parents[2] / "client" / "dist" / "served"
"""The folder into which `client/serve.mjs` writes. The image has nothing else of `client/`."""
IMMUTABLE: Final = "public, max-age=31536000, immutable"
"""The Cache-Control of paths that contain a hash of the content they lead to."""
REVALIDATED: Final = "public, no-cache"
"""The Cache-Control of all other paths: a cache asks each time, and mostly gets 304."""
NOT_BUILT: Final = (
    "The client is not built, so neither it nor the checkout page nor the API reference can be served. Whoever runs the service builds it by"
    " `make setup`; the image of the Dockerfile contains it."
)
_ENCODINGS: Final = ("br", "gzip")
"""The content encodings, the best first."""


@dataclass(frozen=True, slots=True)
class ServedFile:
    """One file: its bodies by encoding, of which `identity` is the file itself."""

    content_type: str
    hash: str
    bodies: Mapping[str, bytes]
    is_development: bool
    """Whether the file is for development only, and not served in production."""

    @property
    def text(self) -> str:
        """The file's content as text."""
        return self.bodies["identity"].decode()


@dataclass(frozen=True, slots=True)
class ServedFiles:
    """Every file of a build, by its path below `served`."""

    version: str
    languages: tuple[str, ...]
    """The languages that there is a document of the checkout page in."""
    style: str
    """The source expression of the style that these documents contain, for their policy: `sha256-...`."""
    tree: str
    """A hash of all modules of the client, under which they are immutable: `/client/TREE/index.js`."""
    files: Mapping[str, ServedFile]


def load(folder: Path = SERVED) -> ServedFiles | None:
    """Return the build in `folder`; None if there is none, or not all of it."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        return ServedFiles(
            manifest["version"],
            tuple(manifest["page"]["languages"]),
            manifest["page"]["style"],
            manifest["tree"],
            {name: _read(folder / name, entry) for name, entry in manifest["files"].items()},
        )
    except (OSError, ValueError, KeyError):
        return None


def _read(path: Path, entry: Mapping[str, object]) -> ServedFile:
    encodings = [encoding for encoding in _ENCODINGS if encoding in str(entry["encodings"])]
    bodies = {encoding: Path(f"{path}.{encoding}").read_bytes() for encoding in encodings}
    return ServedFile(
        str(entry["type"]),
        str(entry["hash"]),
        bodies | {"identity": path.read_bytes()},
        is_development=bool(entry.get("development")),
    )


def not_built() -> Problem:
    """Return Problem 503, which a service answers whose client is not built."""
    return Problem(503, "client_not_built", NOT_BUILT)


def respond(request: web.Request, file: ServedFile, *, cache: str) -> web.Response:
    """Answer with the file in the best encoding that the client takes, or 304 if the client has it.

    Each encoding has an ETag of its own, because its bytes differ.
    """
    encoding = best_encoding(request.headers.get("Accept-Encoding", ""), file.bodies)
    suffix = "" if encoding == "identity" else f"-{encoding}"
    kind, _, charset = file.content_type.partition("; charset=")
    response = conditional(request, file.bodies[encoding], f'"{file.hash}{suffix}"', cache=cache, content_type=kind)
    if response.status == 200:
        response.charset = charset or None
        if encoding != "identity":
            response.headers["Content-Encoding"] = encoding
    if len(file.bodies) > 1:
        response.headers["Vary"] = "Accept-Encoding"
    return response


def best_encoding(accepted: str, offered: Mapping[str, bytes]) -> str:
    """Return the best of the encodings that `Accept-Encoding` names without refusing it (RFC 9110, section 12.5.3)."""
    names = set()
    for item in accepted.lower().split(","):
        name, _, parameter = item.partition(";")
        if parameter.replace(" ", "").rstrip("0.") != "q=":
            names.add(name.strip())
    return next((encoding for encoding in _ENCODINGS if encoding in offered and encoding in names), "identity")
