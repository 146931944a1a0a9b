"""The committed artefact is what the pinned compiler makes of the source, and what the code pins."""

import json
import re

from chain import payonce
from chain.deployments import deployment
from chain.types import keccak, to_hex
from contracts import build
from tests.support.paths import ROOT

# Opcodes with bytes behind them; everything else is one byte long.
PUSH1, PUSH32 = 0x60, 0x7F
PUSH0 = 0x5F


def opcodes(code: bytes) -> set[int]:
    found, place = set(), 0
    while place < len(code):
        found.add(code[place])
        place += code[place] - PUSH1 + 2 if PUSH1 <= code[place] <= PUSH32 else 1
    return found


def test_the_compiler_makes_the_artefact_again_byte_for_byte() -> None:
    assert build.ARTEFACT.read_text() == build.text()


def test_a_changed_source_makes_another_artefact() -> None:
    source = build.SOURCE.read_text()
    changed = build.compile_sources({"PayOnce.sol": source.replace("blockNumber != 0", "blockNumber == 1")})
    code = changed["PayOnce"]["evm"]["bytecode"]["object"]
    assert "0x" + code != payonce.artefact()["bytecode"]


def test_the_compiler_is_pinned_by_its_hash() -> None:
    entry = json.loads((ROOT / "package-lock.json").read_text())["packages"]["node_modules/solc"]
    assert json.loads((ROOT / "package.json").read_text())["dependencies"]["solc"] == entry["version"]
    assert re.fullmatch(r"sha512-[\w+/]{86}==", entry["integrity"])
    assert payonce.artefact()["compiler"]["version"].startswith(entry["version"] + "+commit.")
    assert f"pragma solidity {entry['version']};" in build.SOURCE.read_text()


def test_the_code_runs_on_chains_without_push0_and_calls_nothing_dangerous() -> None:
    found = opcodes(bytes.fromhex(payonce.artefact()["deployedBytecode"][2:]))
    assert PUSH0 not in found
    assert 0xF1 in found  # CALL: the walk through the code goes right
    create, callcode, delegatecall, create2, selfdestruct = 0xF0, 0xF2, 0xF4, 0xF5, 0xFF
    assert not found & {create, callcode, delegatecall, create2, selfdestruct}


def test_no_function_has_the_selector_that_tokens_are_called_with() -> None:
    """So PayOnce given as the token of a batch refuses, and cannot enter itself."""
    names = {
        f"{entry['name']}({','.join(map(_type, entry['inputs']))})"
        for entry in payonce.artefact()["abi"]
        if entry["type"] == "function"
    }
    selectors = {keccak(name.encode())[:4].hex() for name in names}
    assert len(selectors) == 3
    assert "23b872dd" not in selectors
    assert {entry["stateMutability"] for entry in payonce.artefact()["abi"] if entry["type"] == "function"} == {
        "nonpayable",
        "view",
    }


def _type(parameter: dict[str, object]) -> str:
    kind, components = str(parameter["type"]), parameter.get("components")
    if isinstance(components, list):
        return kind.replace("tuple", f"({','.join(map(_type, components))})")
    return kind


def test_every_deployment_names_the_address_that_follows_from_the_code() -> None:
    creation = keccak(bytes.fromhex(payonce.artefact()["bytecode"][2:]))
    assert to_hex(creation) == payonce.INIT_CODE_HASH == payonce.artefact()["bytecodeHash"]
    assert payonce.artefact()["deployedBytecodeHash"] == payonce.CODE_HASH
    assert payonce.create2_address(payonce.FACTORY, bytes(32), creation) == payonce.ADDRESS
    assert {deployment(chain_id).payonce for chain_id in (31611, 31612)} == {payonce.ADDRESS}
