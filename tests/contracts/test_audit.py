"""`make contract-audit`: what halmos proves and what slither finds, with tools of an environment of their own."""

import subprocess

import pytest

from tests.support.paths import ROOT

TOOLS = ROOT / ".venv-contract"
pytestmark = [pytest.mark.prove, pytest.mark.starts_first]


def test_halmos_proves_each_claim_and_slither_finds_nothing_unanswered() -> None:
    if not (TOOLS / ".ready").is_file():
        pytest.skip("the contract was not audited: halmos and slither could not be installed (make contract-audit)")
    command = [TOOLS / "bin" / "python", ROOT / "contracts" / "audit" / "run.py"]
    audit = subprocess.run(command, capture_output=True, text=True, check=False)
    assert audit.returncode == 0, audit.stdout + audit.stderr
