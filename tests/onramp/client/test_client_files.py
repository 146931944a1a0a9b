"""The service hands out its own client: modules and a package, compressed and cached, to pages of any origin."""

import gzip
import io
import json
import re
import shutil
import tarfile
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import onramp
from onramp.client.files import SERVED, best_encoding, load
from onramp.doctor import client as doctor
from onramp.ops.health import NotWellError
from tests.support.paths import ROOT

OTHER_ORIGIN = {"Origin": "https://anywhere.example"}


async def get(service: Any, path: str, **headers: str) -> tuple[int, Any, bytes]:
    async with service.http.get(service.api + path, headers=headers, auto_decompress=False) as answer:
        return answer.status, answer.headers, await answer.read()


async def test_a_page_of_any_origin_imports_every_module_and_finds_its_types(service: Any) -> None:
    asked, found = ["index.js", "purchase.js", "react/index.js", "words/pt-BR.js"], set()
    while asked:
        path = asked.pop()
        if path in found:
            continue
        status, headers, body = await get(service, f"/client/{path}", **OTHER_ORIGIN, **{"Accept-Encoding": "identity"})
        assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8"), path
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert (await get(service, f"/client/{path.removesuffix('.js')}.d.ts"))[0] == 200
        found.add(path)
        folder = path.rpartition("/")[0]
        names = re.findall(r'from "(\.[^"]+)"', body.decode())
        asked += [Path("/", folder, name).resolve().as_posix().removeprefix("/") for name in names]
    assert len(found) > 15


async def test_each_encoding_has_a_strong_etag_and_what_the_client_has_is_not_sent_again(service: Any) -> None:
    tags, bodies = set(), []
    for accepted in ("identity", "gzip", "gzip, deflate, br"):
        status, headers, body = await get(service, "/client/index.js", **{"Accept-Encoding": accepted})
        assert (status, headers["Vary"], headers["Cache-Control"]) == (200, "Accept-Encoding", "public, no-cache")
        assert headers.get("Content-Encoding", "identity") == accepted.rpartition(", ")[2]
        assert re.fullmatch(r'"[0-9a-f]{32}(-gzip|-br)?"', headers["ETag"])
        known = {"Accept-Encoding": accepted, "If-None-Match": headers["ETag"]}
        assert (await get(service, "/client/index.js", **known))[::2] == (304, b"")
        tags.add(headers["ETag"])
        bodies.append(body)
    assert len(tags) == 3
    assert gzip.decompress(bodies[1]) == bodies[0] == (SERVED / "client" / "index.js").read_bytes()
    assert len(bodies[2]) < len(bodies[1]) < len(bodies[0])


async def test_below_the_hash_of_all_modules_everything_may_be_cached_for_ever(service: Any) -> None:
    build = load()
    assert build is not None
    status, headers, _ = await get(service, f"/client/{build.tree}/react/index.js")
    assert (status, headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert (await get(service, "/client/000000000000/react/index.js"))[0] == 404


async def test_npm_installs_the_package_from_its_url(service: Any, tmp_path: Path) -> None:
    for name in ("onramp-client.tgz", f"onramp-client-{onramp.__version__}.tgz"):
        status, headers, body = await get(service, f"/client/{name}", **{"Accept-Encoding": "gzip"})
        assert (status, headers["Content-Type"]) == (200, "application/gzip")
        assert "Content-Encoding" not in headers
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        archive.extractall(tmp_path, filter="data")
    package = json.loads((tmp_path / "package" / "package.json").read_text())
    assert (package["name"], package["version"]) == ("@onramp/client", onramp.__version__)
    assert package["license"] == "Apache-2.0"
    assert (tmp_path / "package" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert "@onramp/client/react" in (tmp_path / "package" / "README.md").read_text()
    entries = [entry if isinstance(entry, str) else entry["default"] for entry in package["exports"].values()]
    assert all((tmp_path / "package" / entry).exists() for entry in entries if "*" not in entry)
    assert not (tmp_path / "package" / "dist" / "served").exists()


async def test_only_files_of_the_build_are_served(service: Any) -> None:
    for path in ("../manifest.json", "%2e%2e/manifest.json", "nothing.js", "index.js.gzip", "/etc/passwd"):
        assert (await get(service, f"/client/{path}"))[0] == 404, path


async def test_without_a_build_the_service_starts_and_says_what_to_run(start: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("onramp.client.files.load", lambda: None)
    service = await start()
    for path in ("/client/index.js", "/client/onramp-client.tgz"):
        status, headers, body = await get(service, path)
        assert (status, headers["Content-Type"].partition(";")[0]) == (503, "application/problem+json")
        problem = json.loads(body)
        assert problem["code"] == "client_not_built" and "`make setup`" in problem["detail"]
    assert (await get(service, "/health"))[0] == 200
    with pytest.raises(NotWellError, match="`make setup`"):
        await doctor.client()
    monkeypatch.undo()
    assert onramp.__version__ in await doctor.client()


def test_a_build_that_is_not_whole_counts_as_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    shutil.copytree(SERVED, tmp_path / "served")
    assert load(tmp_path / "served") is not None
    (tmp_path / "served" / "client" / "index.js.br").unlink()
    assert load(tmp_path / "served") is None


def test_an_encoding_that_the_client_refuses_is_not_chosen() -> None:
    every = MappingProxyType({"br": b"", "gzip": b"", "identity": b""})
    assert best_encoding("br;q=0, gzip", every) == "gzip"
    assert best_encoding("br; q=0.0, gzip;q=0", every) == "identity"
    assert best_encoding("BR;q=0.5", every) == "br"
    assert best_encoding("", every) == best_encoding("deflate", every) == "identity"
