"""The console over HTTP: its policy, what is cached, how much the first load weighs, and where it is refused."""

import gzip
import json
import re
from typing import Any, Final

import pytest
from yarl import URL

from onramp.client.files import load as load_built
from onramp.console.files import STATIC, load, vendored_problem
from onramp.console.vendored import VENDORED
from onramp.dev.chain.anvil import free_port
from tests.support.paths import ROOT

MAX_BYTES: Final = 60 * 1024
"""Of everything that the first screen loads, compressed."""


async def get(service: Any, path: str, base: str = "", **headers: str) -> tuple[int, Any, bytes]:
    async with service.http.get(URL((base or service.api) + path), headers=headers, auto_decompress=False) as answer:
        return answer.status, answer.headers, await answer.read()


@pytest.fixture
async def console(start: Any) -> Any:
    return await start(CONSOLE="on")


async def test_it_is_off_unless_it_is_turned_on(service: Any) -> None:
    for path in ("/console", "/console/", "/console/queue"):
        assert (await get(service, path))[0] == 404


@pytest.mark.parametrize("path", ["/console", "/console/", "/console/queue?status=held", "/console/nothing"])
async def test_the_document_is_never_stored_and_loads_nothing_from_elsewhere(console: Any, path: str) -> None:
    status, headers, body = await get(console, path, **{"Accept-Encoding": "identity"})
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "text/html; charset=utf-8", "no-store")
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "lit-html",
    }
    assert headers["X-Frame-Options"] == "DENY" and headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    document = body.decode()
    assert not re.search(r"\son\w+=|style=|https?://|<script(?![^>]*\bsrc=)", document)


async def test_what_the_first_screen_loads_is_small_and_kept_for_ever(console: Any) -> None:
    _, _, body = await get(console, "/console", **{"Accept-Encoding": "gzip"})
    size, document = len(body), gzip.decompress(body).decode()
    first = set(re.findall(r'(?:href|src)="(/console/[0-9a-f]{16}/[^"]+)"', document))
    assert len(first) >= 9
    named = {path.split("/", 3)[3] for path in first}
    for path in first:
        status, headers, body = await get(console, path, **{"Accept-Encoding": "gzip"})
        assert (status, headers["Content-Encoding"]) == (200, "gzip"), path
        assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
        size += len(body)
        # A module that the document does not name would cost the first load another round trip.
        imported = re.findall(r'^import .*?from "\.{1,2}/([^"]+)"', gzip.decompress(body).decode(), re.MULTILINE)
        assert {name for name in imported if not name.startswith("screens/")} <= named, path
    assert size <= MAX_BYTES, size
    assert not any("uplot" in path for path in first)


async def test_only_the_files_of_this_version_are_served(console: Any) -> None:
    _, _, body = await get(console, "/console", **{"Accept-Encoding": "identity"})
    found = re.search(r"/console/([0-9a-f]{16})/app\.js", body.decode())
    assert found is not None
    for path in (
        "app.js",
        "0" * 16 + "/app.js",
        f"{found[1]}/index.html",
        f"{found[1]}/../files.py",
        "%2e%2e/files.py",
    ):
        assert (await get(console, f"/console/{path}"))[0] == 404, path


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Sec-Fetch-Dest": "iframe"}, "console_embedded"),
        ({"Sec-Fetch-Dest": "embed"}, "console_embedded"),
        ({"Host": "onramp.example.com"}, "console_insecure"),
        ({"Host": "10.0.0.7:3001"}, "console_insecure"),
        ({"Host": "onramp.example.com", "X-Forwarded-Proto": "https"}, "console_insecure"),
    ],
)
async def test_it_is_refused_in_a_frame_and_over_http(console: Any, headers: dict[str, str], code: str) -> None:
    status, _, body = await get(console, "/console", **headers)
    assert (status, json.loads(body)["code"]) == (403, code)


async def test_it_is_served_behind_a_trusted_proxy_that_ends_tls(start: Any) -> None:
    service = await start(CONSOLE="on", TRUSTED_PROXIES="127.0.0.0/8")
    host = {"Host": "onramp.example.com"}
    assert (await get(service, "/console", **host, **{"X-Forwarded-Proto": "https"}))[0] == 200
    assert (await get(service, "/console", **host, **{"X-Forwarded-Proto": "http"}))[0] == 403
    # The proxy appends what it saw to what the client claimed.
    assert (await get(service, "/console", **host, **{"X-Forwarded-Proto": "https, http"}))[0] == 403
    assert (await get(service, "/console", **host))[0] == 403


async def test_with_a_port_of_its_own_the_main_port_serves_no_console(start: Any) -> None:
    own = free_port()
    service = await start(CONSOLE="on", CONSOLE_PORT=own)
    assert (await get(service, "/console"))[0] == 404
    assert (await get(service, "/console", f"http://127.0.0.1:{own}"))[0] == 200
    assert (await get(service, "/health", f"http://127.0.0.1:{own}"))[0] == 200


def test_the_libraries_are_the_reviewed_files_of_the_locked_packages() -> None:
    built = load_built()
    assert built is not None and load(built) is not None
    contents = {name: built.files[f"console/{name}"].bodies["identity"] for name in VENDORED}
    assert vendored_problem(contents) is None
    for name in VENDORED:
        assert name in str(vendored_problem(contents | {name: contents[name] + b"\n"}))
        assert name in str(vendored_problem({other: body for other, body in contents.items() if other != name}))
    lock = json.loads((ROOT / "client" / "package-lock.json").read_text())["packages"]
    installed = json.loads((ROOT / "client" / "node_modules" / ".package-lock.json").read_text())["packages"]
    sources = {
        "lit-html": ("lit-html.js", "lit-html.js"),
        "uplot": ("dist/uPlot.esm.js", "uplot.js"),
        "uqr": ("dist/index.mjs", "uqr.js"),
    }
    for package, (source, name) in sources.items():
        entry = lock[f"node_modules/{package}"]
        assert entry["integrity"].startswith("sha512-") and "resolved" not in entry
        assert installed[f"node_modules/{package}"]["integrity"] == entry["integrity"]
        assert (ROOT / "client" / "node_modules" / package / source).read_bytes() == contents[name]


def test_no_module_writes_markup_keeps_anything_or_runs_text() -> None:
    modules = list(STATIC.rglob("*.js"))
    assert len(modules) >= 8
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|unsafeHTML|document\.write|localStorage|sessionStorage|indexedDB|\beval\(|new Function|document\.cookie"
    for path in modules:
        assert not re.search(forbidden, path.read_text()), path.name
