"""Compile PayOnce with the pinned compiler and write its artefact: `make contract`.

`contracts/PayOnce.json` holds the ABI, the creation and the runtime code, and how they were made. With `--check` nothing is written, and
exit status 1 says that the file differs from what the compiler makes of the source.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chain.types import keccak, to_hex

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = ROOT / "contracts" / "PayOnce.sol"
ARTEFACT: Final = ROOT / "contracts" / "PayOnce.json"
# london: no PUSH0, as Mezo's documentation asks for. Without metadata the code does not depend on comments or file names.
SETTINGS: Final[Mapping[str, Any]] = {
    "evmVersion": "london",
    "optimizer": {"enabled": True, "runs": 10_000},
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}
_SOLC: Final = ("node", str(ROOT / "contracts" / "solc.mjs"))
_OUTPUT: Final = {"*": {"*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]}}


class CompileError(Exception):
    """The compiler refuses a source, or cannot be run; the text is its message."""


def compile_sources(sources: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Compile sources by file name; return the compiler's output of each contract by the contract's name. Raises CompileError."""
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {**SETTINGS, "outputSelection": _OUTPUT},
    }
    output = json.loads(_solc("--standard-json", stdin=json.dumps(request)))
    problems = [problem["formattedMessage"] for problem in output.get("errors", [])]
    if problems:
        raise CompileError("\n".join(problems))
    return {name: contract for file in output["contracts"].values() for name, contract in file.items()}


def artefact() -> dict[str, Any]:
    """Compile PayOnce and return its artefact."""
    contract = compile_sources({SOURCE.name: SOURCE.read_text(encoding="utf-8")})["PayOnce"]
    creation = bytes.fromhex(contract["evm"]["bytecode"]["object"])
    runtime = bytes.fromhex(contract["evm"]["deployedBytecode"]["object"])
    return {
        "contract": "PayOnce",
        "source": SOURCE.name,
        "compiler": {
            "package": "solc",
            "version": _solc("--version").split("Version: ")[1].split(".Linux")[0],
            "settings": SETTINGS,
        },
        "abi": contract["abi"],
        "bytecode": to_hex(creation),
        "bytecodeHash": to_hex(keccak(creation)),
        "deployedBytecode": to_hex(runtime),
        "deployedBytecodeHash": to_hex(keccak(runtime)),
    }


def text() -> str:
    """Return the artefact as JSON text, as the file has it."""
    return json.dumps(artefact(), indent=2) + "\n"


def _solc(argument: str, stdin: str = "") -> str:
    result = subprocess.run([*_SOLC, argument], input=stdin, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    if result.returncode:
        raise CompileError(f"The compiler does not run; `make setup` installs it.\n{result.stderr}")
    return result.stdout


def main(arguments: list[str]) -> int:
    """Write the artefact, or with `--check` compare it; return the exit status."""
    if arguments == ["--check"]:
        if ARTEFACT.read_text(encoding="utf-8") == text():
            return 0
        print(
            "contracts/PayOnce.json is not what the compiler makes of PayOnce.sol: run `make contract`", file=sys.stderr
        )
        return 1
    ARTEFACT.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
