"""Images, wheels and deployments contain what they need, and start commands that exist."""

import fnmatch
import json
import re
import tomllib
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LAYERS = ("kit", "chain", "treasury", "onramp")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _locked(file: str) -> set[str]:
    return {_normal(name) for name in re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / file).read_text(), re.MULTILINE)}


def _required(requirements: list[str]) -> set[str]:
    names = (re.match(r"[A-Za-z0-9_.-]+", requirement) for requirement in requirements)
    return {_normal(name.group()) for name in names if name}


def test_the_image_copies_what_is_there() -> None:
    sources = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert sources
    for source in set(" ".join(sources).split()) - {"treasury.toml*"}:  # the deployment's own, where it has one
        assert (ROOT / source).exists(), source


def test_the_build_context_has_exactly_what_the_image_copies() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(" ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)).split()) == allowed


def test_the_clients_stage_copies_everything_that_the_client_is_built_from() -> None:
    rule = re.search(r"^client/dist/served/manifest\.json: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert rule is not None
    sources = {"/".join(path.split("/")[:2]) for path in re.findall(r"client/[\w./*-]+", rule[1])} - {
        "client/node_modules"
    }
    copied = set(" ".join(re.findall(r"^COPY (client/.*) \S+$", DOCKERFILE, re.MULTILINE)).split())
    folders = {"client/src", "client/checkout", "client/reference"}
    assert sources == {"client/tsconfig.json", "client/serve.mjs", "client/README.md"} | folders
    assert sources | {"client/package.json", "client/package-lock.json", "client/.npmrc"} == copied


def test_the_image_has_pinned_bases_no_root_hashes_and_a_health_check() -> None:
    bases = dict(
        re.findall(r"^ARG (\w+_IMAGE)=docker\.io/library/[\w.:-]+@(sha256:[0-9a-f]{64})$", DOCKERFILE, re.MULTILINE)
    )
    assert re.findall(r"^FROM \$\{(\w+)\}", DOCKERFILE, re.MULTILINE) == ["NODE_IMAGE", "PYTHON_IMAGE", "PYTHON_IMAGE"]
    assert len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE)) == 3 and bases.keys() == {"NODE_IMAGE", "PYTHON_IMAGE"}
    assert re.search(r"^USER [1-9]\d*:", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes --requirement requirements.lock" in DOCKERFILE
    assert re.search(r"^HEALTHCHECK [\s\S]*?/health", DOCKERFILE, re.MULTILINE)


def test_railway_waits_for_the_readiness_of_the_api_only() -> None:
    assert json.loads((ROOT / "railway.json").read_text())["deploy"]["healthcheckPath"] == "/ready"
    for name in ("railway.worker.json", "deploy/railway/worker.json", "deploy/railway/treasury.json"):
        assert "healthcheckPath" not in json.loads((ROOT / name).read_text())["deploy"]


def test_the_wheel_holds_every_package_and_every_file_that_runs() -> None:
    packages = set(find_packages(str(ROOT), include=PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]))
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    missing = []
    for layer in LAYERS:
        for path in (ROOT / layer).rglob("*"):
            if path.is_dir() or "__pycache__" in path.parts:
                continue
            within = path.relative_to(ROOT / layer).as_posix()
            as_module = path.suffix == ".py" and ".".join(path.relative_to(ROOT).parent.parts) in packages
            as_data = any(fnmatch.fnmatch(within, pattern.replace("**/", "")) for pattern in patterns.get(layer, []))
            if not as_module and not as_data:
                missing.append(f"{layer}/{within}")
    assert missing == []


def test_the_locks_hold_every_direct_dependency_and_the_two_agree() -> None:
    runtime, dev = _locked("requirements.lock"), _locked("requirements-dev.lock")
    assert _required(PROJECT["project"]["dependencies"]) <= runtime
    assert _required(PROJECT["dependency-groups"]["dev"]) <= dev
    pins = r"^([A-Za-z0-9_.-]+==\S+)"
    both = [
        set(re.findall(pins, (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    ]
    assert both[0] <= both[1]


@pytest.mark.parametrize(
    "name",
    [
        "requirements.lock",
        "requirements-dev.lock",
        "requirements-setup.lock",
        "requirements-contract.lock",
        "requirements-release.lock",
    ],
)
def test_everything_locked_carries_a_hash(name: str) -> None:
    for entry in re.split(r"\n(?=[A-Za-z0-9])", (ROOT / name).read_text()):
        if "==" in entry.partition("\n")[0]:
            assert "--hash=sha256:" in entry, entry.partition("\n")[0]


def test_ci_runs_the_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert script.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script
    assert script.rstrip().endswith("exec make test")
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_lock_files_and_configuration_name_no_registry() -> None:
    for name in (
        "requirements.lock",
        "requirements-dev.lock",
        "requirements-setup.lock",
        "requirements-contract.lock",
        "requirements-release.lock",
        "package-lock.json",
        "contracts/audit/package-lock.json",
        "client/package-lock.json",
        "client/package.json",
        "client/example/package-lock.json",
        "client/example/package.json",
        "client/example/.npmrc",
        ".npmrc",
        "client/.npmrc",
        "pyproject.toml",
        "Makefile",
        ".ci/run",
        ".pre-commit-config.yaml",
    ):
        text = (ROOT / name).read_text()
        assert not re.search(
            r"pypi\.org|pythonhosted|registry\.npmjs|npmjs\.org|^\s*(--)?(extra-)?index-url|\"resolved\": *\"http",
            text,
            re.MULTILINE,
        ), name


def test_every_direct_dependency_says_what_it_is_for() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for requirement in [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]:
        lines = [line for line in text.splitlines() if f'"{requirement}"' in line]
        assert any("#" in line for line in lines), requirement


def test_the_image_holds_no_development_servers() -> None:
    assert "onramp/dev" in (ROOT / ".dockerignore").read_text().splitlines()


def test_every_layer_ships_its_types() -> None:
    for layer in LAYERS:
        assert (ROOT / layer / "py.typed").exists()
        assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"][layer]


RIGHTS = {"ci.yml": set(), "deploy.yml": set(), "release.yml": {"packages", "id-token", "attestations", "contents"}}
"""What jobs of each workflow may write: the release pushes the image, signs it, stores its provenance, and publishes the release."""


def test_workflows_pin_actions_by_commit_and_have_no_more_rights_than_they_need() -> None:
    paths = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert {path.name for path in paths} == RIGHTS.keys()
    for path in paths:
        text = path.read_text()
        used = re.findall(r"uses: *(\S+)(.*)", text)
        assert used
        for action, comment in used:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" +# v[\d.]+", comment), action
        assert re.search(r"^permissions:\n  contents: read\n", text, re.MULTILINE)
        assert set(re.findall(r"^      ([\w-]+): write\b", text, re.MULTILINE)) == RIGHTS[path.name]
        assert len(re.findall(r": write", text)) == len(RIGHTS[path.name])


def test_a_release_never_passes_without_having_looked_for_vulnerabilities() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert "pip-audit --strict " in text
    assert "continue-on-error" not in text and "|| true" not in text
    assert re.search(r"^  image:\n(.*\n)+?    needs: audit$", text, re.MULTILINE)
    assert re.search(r"^  publish:\n(.*\n)+?    needs: \[image, scan\]$", text, re.MULTILINE)
    assert ":latest" not in text


def test_github_runs_ci_on_every_supported_python() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert "run: .ci/run" in text
    versions = re.findall(r'"(3\.\d+)"', text)
    assert PROJECT["project"]["requires-python"] == f">={versions[0]}"
    assert [int(version[2:]) for version in versions] == list(range(11, 15))
