"""What others know about our deployment files: each linter accepts ours, and refuses an example, so that it is known to work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TOOLS = Path(sys.executable).parent
WORKFLOW = "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo {}\n"
CASES = {
    "hadolint": (["hadolint", "{}"], ["Dockerfile"], "Dockerfile", "FROM python:latest\nRUN cd /srv && sudo pip install x\n"),
    "actionlint": (["actionlint", "{}"], None, "w.yml", WORKFLOW.format("${{ steps.none.outputs.x }}")),
    "zizmor": (["zizmor", "--offline", "--no-progress", "--quiet", "{}"], None, "w.yml", WORKFLOW.format("${{ github.head_ref }}")),
    "workflow schema": (["check-jsonschema", "--builtin-schema", "vendor.github-workflows", "{}"], None, "w.yml", "on: push\njobz: {}\n"),
    "dependabot schema": (
        ["check-jsonschema", "--builtin-schema", "vendor.dependabot", "{}"], [".github/dependabot.yml"], "d.yml", "version: 2\nupdatez: []\n",
    ),
    "compose schema": (
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "{}"], ["deploy/compose.yaml"], "c.yml", "services: {a: {reed_only: true}}\n",
    ),
}  # fmt: skip


def _run(command: list[str], file: Path) -> "subprocess.CompletedProcess[str]":
    line = [str(TOOLS / command[0]), *(part.format(file) for part in command[1:])]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


@pytest.mark.parametrize("name", CASES)
def test_linters_accept_our_files_and_refuse_a_faulty_one(name: str, tmp_path: Path) -> None:
    command, files, faulty, text = CASES[name]
    for file in files or sorted(str(path) for path in (ROOT / ".github/workflows").glob("*.yml")):
        done = _run(command, ROOT / file)
        assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / faulty).write_text(text)
    assert _run(command, tmp_path / faulty).returncode not in {0, 127}


@pytest.mark.skipif(
    shutil.which("haproxy") is None and "CI" not in os.environ,
    reason="haproxy is not installed: its configuration was not checked",
)
def test_haproxy_accepts_its_configuration(tmp_path: Path) -> None:
    ours = ROOT / "deploy/haproxy.cfg"
    (tmp_path / "faulty.cfg").write_text(ours.read_text().replace("balance leastconn", "balance mostconn"))
    results = [
        subprocess.run(["haproxy", "-c", "-f", str(file)], capture_output=True, timeout=30, check=False).returncode
        for file in (ours, tmp_path / "faulty.cfg")
    ]
    assert results == [0, 1]
