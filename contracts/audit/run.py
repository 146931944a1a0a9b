"""Analyse PayOnce with tools of their own environment: `make contract-audit`.

halmos proves the checks of `tests/contracts/PayOnceChecks.sol` for all values at once, and must refute each of some broken variants of the
contract, because a check that nothing fails proves nothing. slither may find exactly what docs/payonce.md answers. Exit status 1 otherwise.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
CONTRACT: Final = ROOT / "contracts" / "PayOnce.sol"
CHECKS: Final = ROOT / "tests" / "contracts" / "PayOnceChecks.sol"
TOOLS: Final = Path(sys.executable).parent
_PROCESSORS: Final = {"x86_64": "amd64", "amd64": "amd64", "arm64": "arm64", "aarch64": "arm64"}
_FORGE: Final = f"forge-{platform.system().lower()}-{_PROCESSORS.get(platform.machine().lower(), '')}"
FORGE: Final = ROOT / "contracts" / "audit" / "node_modules" / "@foundry-rs" / _FORGE / "bin"

ANSWERED: Final = frozenset({"calls-loop", "reentrancy-events", "assembly"})
"""The kinds of findings of slither that docs/payonce.md explains."""
MUTANTS: Final[Mapping[str, tuple[str, str]]] = {
    "a payment leaves no mark": ("paid[payer][payment.ref] = block.number;", ""),
    "the mark of another reference": ("paid[payer][payment.ref] = ", "paid[payer][bytes32(0)] = "),
    "payers share references": (
        "uint256 blockNumber = paid[msg.sender][ref]",
        "uint256 blockNumber = paid[token][ref]",
    ),
    "the recipient pays": ("0x23b872dd, payer,", "0x23b872dd, payment.to,"),
    "anyone enters the inner function": ("if (msg.sender != address(this)) revert Refused();", ""),
    "false counts as paid": ("eq(mload(0), 1)", "1"),
    "ether is accepted": ("calldata payments) external {", "calldata payments) external payable {"),
}
"""The broken variants of the contract, by a description of the fault: the text to replace, and its replacement."""
_SETTINGS: Final = """[profile.default]
src = "src"
out = "out"
libs = []
offline = true
ast = true
build_info = true
solc = "{solc}"
evm_version = "london"
optimizer = true
optimizer_runs = 10000
bytecode_hash = "none"
cbor_metadata = false
"""


def stage(folder: Path, contract: str, *, with_checks: bool) -> None:
    """Write a project of forge with this source of the contract, and with the checks if `with_checks`."""
    (folder / "src").mkdir()
    (folder / "foundry.toml").write_text(_SETTINGS.format(solc=ROOT / "contracts" / "solc.mjs"))
    (folder / "src" / CONTRACT.name).write_text(contract)
    if with_checks:
        shutil.copy(CHECKS, folder / "src")


def run(*command: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool in a folder, with forge on its path, and return its result."""
    environment = os.environ | {"PATH": f"{FORGE}{os.pathsep}{os.environ.get('PATH', '')}", "NO_COLOR": "1"}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own tools


def halmos(contract: str) -> tuple[list[str], list[str]]:
    """Return the names of the checks that hold for this source, and of those that do not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage(folder, contract, with_checks=True)
        result = run(TOOLS / "halmos", "--contract", CHECKS.stem, "--no-status", folder=folder)
    text = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout + result.stderr)
    outcomes = re.findall(r"^\[(\w+)\] (check_\w+)", text, re.MULTILINE)
    if not outcomes:
        raise SystemExit(f"contract-audit: halmos checked nothing:\n{text[-3000:]}")
    return [name for word, name in outcomes if word == "PASS"], [name for word, name in outcomes if word != "PASS"]


def slither() -> list[dict[str, Any]]:
    """Return the findings of slither about the contract."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage(folder, CONTRACT.read_text(encoding="utf-8"), with_checks=False)
        built = run(FORGE / "forge", "build", "--build-info", folder=folder)
        result = run(TOOLS / "slither", ".", "--ignore-compile", "--json", "-", folder=folder)
    try:
        document = json.loads(result.stdout)
        findings: list[dict[str, Any]] = document["results"].get("detectors", [])
    except (ValueError, KeyError):
        raise SystemExit(f"contract-audit: slither failed:\n{built.stdout}{result.stderr[-3000:]}") from None
    return findings


def main() -> int:
    """Run both tools and print a line for each result; return the exit status."""
    source = CONTRACT.read_text(encoding="utf-8")
    held, broken = halmos(source)
    faults = [f"halmos refutes {name}" for name in broken]
    print(f"halmos proves {len(held)} checks: {', '.join(held)}")
    written = re.findall(r"function (check_\w+)", CHECKS.read_text(encoding="utf-8"))
    faults += [f"halmos did not run {name}" for name in written if name not in held + broken]
    for wrong, (before, after) in MUTANTS.items():
        if source.count(before) != 1:
            faults.append(f"the variant {wrong!r} changes nothing: its text is not in the contract")
            continue
        refuted = halmos(source.replace(before, after))[1]
        print(f"halmos refutes the variant in which {wrong}: {', '.join(refuted) or 'NO CHECK FAILS'}")
        faults += [] if refuted else [f"no check notices that {wrong}"]
    findings = {finding["check"]: " ".join(finding["description"].split()) for finding in slither()}
    for check, text in findings.items():
        print(f"slither, {'answered' if check in ANSWERED else 'NEW'}: {check}: {text}")
    faults += [f"slither finds {check}, which docs/payonce.md does not answer" for check in findings.keys() - ANSWERED]
    faults += [f"slither no longer finds {check}: remove the answer" for check in ANSWERED - findings.keys()]
    for fault in faults:
        print(f"contract-audit: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
