"""The image starts with only what is in it: the files that the Dockerfile copies and the packages of the lock."""

import fnmatch
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from importlib.metadata import distributions
from pathlib import Path

import orjson
import pytest

import onramp
from onramp.dev.chain.anvil import free_port
from tests.support.production import production_environment

ROOT = Path(__file__).resolve().parents[2]


def _stages() -> tuple[str, str]:
    """Return the part of the build stage that fills /srv/onramp, and the last stage, which copies that folder as it is."""
    _, build, last = (ROOT / "Dockerfile").read_text().rsplit("\nFROM ", 2)
    assert "COPY --from=build /srv /srv\n" in last
    return build.partition("\nWORKDIR /srv/onramp\n")[2], last


def _copied() -> list[str]:
    """Return the names that COPY lines copy from this folder into the image's /srv/onramp."""
    filling = re.findall(r"^COPY (?!--from)(.*) (\./\S*)$", "".join(_stages()), re.MULTILINE)
    assert all(target in {"./", *(f"./{name}" for name in sources.split())} for sources, target in filling)
    return [name for sources, _ in filling for name in sources.split()]


def _built() -> list[tuple[str, str]]:
    """Return what the build stage copies of the client's stage: the path in this folder, where `make setup` builds it, and the target."""
    pairs = re.findall(r"^COPY --from=client /src/(\S+) \./(\S+)$", _stages()[0], re.MULTILINE)
    assert pairs == [("client/dist/served", "client/dist/served")]
    return pairs


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Return the names in a folder that `.dockerignore` excludes: names anywhere (`**/NAME`), and paths from the root."""
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    anywhere = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    within = Path(folder).resolve().relative_to(ROOT)
    return {
        name
        for name in names
        if any(fnmatch.fnmatch(name, rule) for rule in anywhere) or (within / name).as_posix() in rules
    }


def _link_packages(into: Path) -> None:
    """Link what the lock's packages installed, without the checkout's own metadata and without `.pth` files."""
    lock = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    locked = {re.sub(r"[-_.]+", "-", name).lower() for name in lock}
    into.mkdir()
    for package in distributions():
        if re.sub(r"[-_.]+", "-", package.name).lower() not in locked:
            continue
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            place = Path(str(package.locate_file(top)))
            if not (into / top).exists() and place.suffix != ".pth":
                (into / top).symlink_to(place)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the image has it at /srv/onramp, with its packages beside it."""
    home = tmp_path_factory.mktemp("image")
    for name in _copied():
        for path in ROOT.glob(name):
            if path.is_dir():
                shutil.copytree(path, home / "srv" / path.name, ignore=_left_out)
            else:
                (home / "srv").mkdir(exist_ok=True)
                shutil.copy(path, home / "srv")
    for source, target in _built():
        shutil.copytree(ROOT / source, home / "srv" / target)
    _link_packages(home / "packages")
    return home


def _python(image: Path, *arguments: str, environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    # -S: no site-packages, where the checkout itself is installed.
    paths = {"PYTHONPATH": f"{image / 'srv'}:{image / 'packages'}", "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-S", *arguments], env=environment | paths, cwd=image / "srv", stdout=output, stderr=output
        )


def test_the_image_has_no_package_metadata_and_imports_its_own_files(image: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.metadata as m, kit, chain, treasury, onramp, sys\n"
        "assert all(p.__file__.startswith(sys.argv[1]) for p in (kit, chain, treasury, onramp))\n"
        "assert not [d for d in m.distributions() if d.name == 'onramp']\n"
    )
    log = tmp_path / "log"
    run = _python(image, "-c", code, str(image), environment={}, log=log)
    assert run.wait(60) == 0, log.read_text()


def test_the_image_has_no_development_servers_and_says_so(image: Path, tmp_path: Path) -> None:
    assert not (image / "srv" / "onramp" / "dev").exists()
    log = tmp_path / "log"
    assert _python(image, "-m", "onramp", "dev", environment={}, log=log).wait(60) == 1
    assert log.read_text() == "onramp: the development servers are not part of this image; use a checkout\n"


def test_the_image_migrates_serves_and_works_with_sentry_and_tracing_configured(
    image: Path, postgres_url: str, tmp_path: Path
) -> None:
    ports = free_port(), free_port()
    environment = production_environment(postgres_url) | {
        "SENTRY_DSN": "https://0123456789abcdef0123456789abcdef@127.0.0.1:9/7",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }
    log = tmp_path / "log"
    assert _python(image, "-m", "onramp", "migrate", environment=environment, log=log).wait(60) == 0, log.read_text()
    for arguments, port in ((("serve", "--no-workers"), ports[0]), (("work",), ports[1])):
        process = _python(
            image,
            "-m",
            "onramp",
            *arguments,
            environment=environment | {"PORT" if arguments[0] == "serve" else "METRICS_PORT": str(port)},
            log=log,
        )
        try:
            until = time.monotonic() + 60
            while True:
                assert process.poll() is None and time.monotonic() < until, log.read_text()
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                        assert answer.status == 200
                    break
                except OSError:
                    time.sleep(0.2)
            if arguments[0] == "serve":
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=10) as answer:
                    assert orjson.loads(answer.read())["info"]["version"] == onramp.__version__
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/client/index.js", timeout=10) as answer:
                    assert b"createOnramp" in answer.read()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()


def test_the_version_is_written_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"] and project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "onramp.__version__"}
    again = [
        str(path.relative_to(ROOT))
        for layer in ("kit", "chain", "treasury", "onramp")
        for path in (ROOT / layer).rglob("*.py")
        if f'"{onramp.__version__}"' in path.read_text() or 'metadata.version("onramp")' in path.read_text()
    ]
    assert again == ["onramp/__init__.py"]
