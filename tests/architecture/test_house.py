"""Rules of the house that no linter knows."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr

from onramp.config.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("kit", "chain", "treasury", "onramp")
SOURCES = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("floor", FLOORS)
def test_each_floor_is_ours_and_not_a_library_of_that_name(floor: str) -> None:
    assert Path(importlib.import_module(floor).__file__ or "").resolve().is_relative_to(ROOT)


def test_web3_is_imported_in_chain_alone() -> None:
    assert [path for path in SOURCES if "web3" in _imports(path) and not path.is_relative_to(ROOT / "chain")] == []


def test_the_environment_is_read_in_one_place() -> None:
    # What development starts, and the debug switch of the command line, pass an environment on; they decide nothing by it.
    allowed = {
        "onramp/dev/chain/anvil.py",
        "onramp/dev/local/host.py",
        "onramp/dev/kms/keyservice.py",
        "onramp/cli/__init__.py",
    }
    readers = {
        path.relative_to(ROOT).as_posix() for path in SOURCES if re.search(r"\benviron\b|\bgetenv\b", path.read_text())
    }
    assert readers <= allowed


def test_lock_files_and_configuration_name_no_registry() -> None:
    for name in (
        "requirements.lock",
        "requirements-dev.lock",
        "requirements-setup.lock",
        "package-lock.json",
        ".npmrc",
        "pyproject.toml",
        "Makefile",
        ".ci/run",
    ):
        text = (ROOT / name).read_text()
        assert not re.search(
            r"pypi\.org|pythonhosted|registry\.npmjs|npmjs\.org|^\s*(--)?(extra-)?index-url|\"resolved\": *\"http",
            text,
            re.MULTILINE,
        ), name


def test_every_direct_dependency_says_what_it_is_for() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)
    for requirement in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]:
        lines = [line for line in text.splitlines() if f'"{requirement}"' in line]
        assert any("#" in line for line in lines), requirement


def _defaults() -> dict[str, str]:
    found = {}
    for name, field in Settings.model_fields.items():
        value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        found[name] = "" if value is None else str(value)
    return found


def test_the_readme_lists_every_variable_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| ([^|]*) \| \S", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {name: default.strip().strip("`") for name, default in rows} == _defaults()


def test_the_example_environment_lists_every_variable_with_a_sentence_and_its_default() -> None:
    rows = re.findall(r"^# [A-Z0-9].*\.\n# ([A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert dict(rows) == _defaults()


def test_the_readme_maps_every_room() -> None:
    text = (ROOT / "README.md").read_text()
    rooms = {path.parent.relative_to(ROOT).as_posix() + "/" for path in SOURCES if path.name == "__init__.py"}
    unmapped = {room for room in rooms if f"`{room}`" not in text} - {"kit/http/"}
    assert unmapped == set()


def test_the_runbook_knows_every_alarm() -> None:
    runbook = (ROOT / "README.md").read_text()
    written = "".join(path.read_text() for path in SOURCES)
    alarms = set(re.findall(r'log\.critical\(\s*"([a-z_.]+)"', written))
    alarms |= {f"treasury.{kind}" for kind in re.findall(r'alarms\.ring\(\s*"([a-z_]+)"', written)}
    assert len(alarms) > 15
    assert {alarm for alarm in alarms if f"`{alarm}`" not in runbook} == set()
