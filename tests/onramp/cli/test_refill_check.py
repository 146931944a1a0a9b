"""`onramp treasury refill-check`: prints what a refill moves, and refuses every sheet whose calldata differs from its text."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chain.abi.erc20 import encode_transfer
from chain.reads.safe import SafeState
from chain.types import ZERO_ADDRESS, to_checksum
from onramp.dev.chain.deploy import _address_of, _owner_keys
from tests.support.command_line import run_onramp
from tests.support.safes import sign
from tests.support.service import HOT_WALLET
from treasury.cold.identity import ColdPin
from treasury.cold.refill import Refill, prepare
from treasury.cold.safetx import SafeTransaction

CHAIN_ID = 31611
SAFE = to_checksum("0x" + "5a" * 20)
TOKEN = to_checksum("0x" + "c0" * 20)
STRANGER = to_checksum("0x" + "66" * 20)
KEYS = ["0x" + key.hex() for key in _owner_keys()]
OWNERS = tuple(_address_of(key) for key in _owner_keys())
PIN = ColdPin(CHAIN_ID, SAFE, OWNERS, 3)
ENVIRONMENT = {
    "CHAIN_ID": str(CHAIN_ID),
    "COLD_SAFE_ADDRESS": SAFE,
    "COLD_SAFE_OWNERS": ",".join(OWNERS),
    "COLD_SAFE_THRESHOLD": "3",
    "HOT_WALLET_ADDRESS": HOT_WALLET,
    "MUSD_TOKEN_ADDRESS": TOKEN,
    "COLUMNS": "200",
}
MUSD = 10**18
Change = Callable[[dict[str, Any]], Any]


def a_refill(**changes: Any) -> Refill:
    state = SafeState(
        address=SAFE, block_number=1, code_hash=None, singleton=None, singleton_has_code=False, owners=OWNERS, threshold=3,
        modules=(), guard=None, fallback_handler=None, nonce=7,
    )  # fmt: skip
    fields: dict[str, Any] = {"asset": "MUSD", "token": TOKEN, "to": HOT_WALLET, "amount": 10 * MUSD} | changes
    return prepare(PIN, state, **fields)


def hashed(document: dict[str, Any]) -> dict[str, Any]:
    """Recompute the hashes of a changed sheet, as a person who forges it would."""
    expected = document["sheet"]
    transaction = SafeTransaction(
        int(expected["chainId"]), expected["safe"], expected["to"], int(expected["value"]), bytes.fromhex(expected["data"][2:]), int(expected["nonce"])
    )  # fmt: skip
    for name in ("domainHash", "messageHash", "safeTxHash"):
        snake = {"domainHash": "domain_hash", "messageHash": "message_hash", "safeTxHash": "safe_tx_hash"}[name]
        expected[name] = "0x" + getattr(transaction, snake).hex()
    return document


def document_of(refill: Refill) -> dict[str, Any]:
    return {"sheet": refill.sheet(), "owners": list(OWNERS), "threshold": 3, "holds": "100.00"}


def written(folder: Path, refill: Refill, text: str | None = None, file: Any = None) -> Path:
    sheet = folder / "refill-7-1f2e3d4c.sheet.json"
    sheet.write_text(json.dumps(document_of(refill)) if text is None else text)
    builder = folder / "refill-7-1f2e3d4c.json"
    builder.write_text(json.dumps(refill.file(datetime.now(UTC)) if file is None else file))
    return sheet


def checked(sheet: Path, *more: str, signers: int = 3, environment: Mapping[str, str | None] | None = None) -> Any:
    digest = json.loads(sheet.read_text()).get("sheet", {}).get("safeTxHash", "0x" + "00" * 32)
    signatures = [sign(key, bytes.fromhex(digest[2:])) for key in KEYS[:signers]]
    given = {name: value for name, value in {**ENVIRONMENT, **(environment or {})}.items() if value is not None}
    return run_onramp(given, "treasury", "refill-check", str(sheet), *signatures, *more)


@pytest.mark.parametrize(("native", "moved"), [(False, "10.00 MUSD"), (True, "10.00 BTC")])
def test_a_good_sheet_is_decoded_and_its_call_is_printed(tmp_path: Path, native: bool, moved: str) -> None:
    refill = a_refill(asset="BTC", token=ZERO_ADDRESS) if native else a_refill()
    sheet = written(tmp_path, refill)
    expected = checked(sheet)
    assert (expected.returncode, expected.stderr) == (0, "")
    assert all(
        text in expected.stdout
        for text in (*moved.split(), HOT_WALLET, SAFE, "31611", "0 (call)", "Enough signatures.")
    )
    shown = json.loads(checked(sheet, "--json").stdout)
    assert shown["transfer"] == {
        "asset": moved.split()[1], "token": "native" if native else TOKEN, "amount": "10.00", "to": HOT_WALLET,
        "chainId": "31611", "safe": SAFE, "nonce": "7", "operation": "0 (call)",
    }  # fmt: skip
    few = checked(sheet, signers=2)
    assert (few.returncode, "10.00" in few.stdout) == (1, True)


def forged(field: str, value: Any) -> Change:
    """Return a change that replaces a field of the sheet and recomputes the hashes."""

    def change(document: dict[str, Any]) -> dict[str, Any]:
        document["sheet"][field] = value
        return hashed(document)

    return change


def edited(field: str, value: Any) -> Change:
    """Return a change that replaces or adds a field of the sheet, and nothing else."""
    return lambda document: document | {"sheet": document["sheet"] | {field: value}}


def dropped(field: str) -> Change:
    return lambda document: (
        document | {"sheet": {key: value for key, value in document["sheet"].items() if key != field}}
    )


GOOD = encode_transfer(HOT_WALLET, 10 * MUSD).hex()
FORGED = encode_transfer(STRANGER, 10**24).hex()
WRONG: list[tuple[str, Change, str]] = [
    ("the recipient and amount, hashes made to fit", forged("data", "0x" + FORGED), f"  to: the transaction pays {STRANGER}, and the hot wallet is {HOT_WALLET}."),
    ("the amount, hashes made to fit", forged("data", "0x" + encode_transfer(HOT_WALLET, 11 * MUSD).hex()), "moves '11.00 MUSD to"),
    ("an amount of nothing", forged("data", "0x" + encode_transfer(HOT_WALLET, 0).hex()), "  amount: the transaction moves 0"),
    ("the text", edited("transfer", f"11.00 MUSD to {HOT_WALLET}"), "  transfer: the sheet says '11.00 MUSD to"),
    ("another token", forged("to", STRANGER), f"  to: the transaction moves the token {STRANGER}"),
    ("value beside a transfer", forged("value", "1"), "  value: the sheet says 1,"),
    ("trailing calldata", forged("data", "0x" + GOOD + "00" * 32), "has 100 bytes of calldata"),
    ("half a word of it", forged("data", "0x" + GOOD[:-2]), "has 67 bytes of calldata"),
    ("dirty upper bytes", forged("data", "0x" + GOOD[:8] + "01" + GOOD[10:]), "must be zero"),
    ("an approval", forged("data", "0x095ea7b3" + GOOD[8:]), "calls the function 0x095ea7b3"),
    ("another chain", forged("chainId", "31612"), "  chainId: the sheet says 31612, and CHAIN_ID is 31611."),
    ("another Safe", forged("safe", STRANGER), f"  safe: the sheet says {STRANGER}, and COLD_SAFE_ADDRESS is {SAFE}."),
    ("a nonce and old hashes", edited("nonce", "8"), "  messageHash: the sheet says"),
    ("a hash in part", edited("domainHash", "0x" + "00" * 32), "  domainHash: the sheet says"),
    ("a hash of another", edited("safeTxHash", "0x" + "11" * 32), "  safeTxHash: the sheet says"),
    ("a delegatecall as text", edited("operation", "1 (delegatecall)"), "  operation: the sheet says '1 (delegatecall)'"),
    ("a delegatecall as a number", edited("operation", 1), "  operation: the sheet says 1,"),
    ("a call that is true", edited("operation", False), "  operation: the sheet says False,"),
    ("a call as a float", edited("operation", 0.0), "  operation: the sheet says 0.0,"),
    *((f"a {name}", edited(name, value), f"  {name}: the sheet says") for name, value in (
        ("safeTxGas", "100000"), ("baseGas", 1), ("gasPrice", "0x1"), ("gasToken", TOKEN), ("refundReceiver", STRANGER))),
    ("a number for text", edited("nonce", 7), "  nonce: the sheet says 7,"),
    ("a float", edited("chainId", 31611.0), "  chainId: the sheet says 31611.0,"),
    ("an exponent", edited("value", "1e3"), "  value: the sheet says '1e3'"),
    ("Arabic digits", edited("nonce", "٧"), "  nonce: the sheet says"),
    ("a wrong checksum", edited("to", TOKEN.swapcase().replace("X", "x")), "wrong checksum"),
    ("no hexadecimal", edited("data", "0xzz"), "  data: the sheet says '0xzz'"),
    ("an unknown field", edited("memo", "hi"), "  memo: no refill has this field."),
    ("an unknown field on top", lambda document: document | {"guard": 1}, "  guard: no refill has this field."),
    *((f"no {name}", dropped(name), f"  {name}: the field sheet does not have this field.") for name in ("operation", "messageHash", "transfer")),
    ("other owners", lambda document: document | {"owners": [STRANGER], "threshold": 1}, f"  owners: the sheet says {STRANGER}, and COLD_SAFE_OWNERS is"),
    ("an owner twice", lambda document: document | {"owners": [*OWNERS, OWNERS[0]]}, "  owners: the sheet says"),
    ("a lower threshold", lambda document: document | {"threshold": 1}, "  threshold: the sheet says 1, and COLD_SAFE_THRESHOLD is 3."),
    ("a threshold that is text", lambda document: document | {"threshold": "3"}, "  threshold: the sheet says '3'"),
    ("no amount held", lambda document: document | {"holds": None}, "  holds: the sheet says None"),
    ("a list", lambda document: [document], "The sheet is not a JSON object"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_a_sheet_that_was_changed_is_refused_by_the_name_of_the_field(
    tmp_path: Path, change: Change, expected: str
) -> None:
    refill = a_refill()
    document = change(document_of(refill))
    sheet = written(tmp_path, refill, json.dumps(document))
    digest = document["sheet"].get("safeTxHash") if isinstance(document, dict) else "0x" + "00" * 32
    signatures = [sign(key, bytes.fromhex(digest[2:])) for key in KEYS[:3]]
    for more in ((), ("--json",)):
        refused = run_onramp(ENVIRONMENT, "treasury", "refill-check", str(sheet), *signatures, *more)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("onramp: "), refused.stderr
        assert expected in refused.stderr, refused.stderr
        assert "Enough" not in refused.stderr


def test_a_field_given_twice_is_refused(tmp_path: Path) -> None:
    refill = a_refill()
    text = json.dumps(document_of(refill)).replace('"threshold": 3', '"threshold": 1, "threshold": 3')
    refused = checked(written(tmp_path, refill, text))
    assert (refused.returncode, "'threshold' is given twice" in refused.stderr) == (1, True), refused.stderr


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda file: file["transactions"][0].update(to=STRANGER), f"to: the Transaction Builder's file says '{STRANGER}'"),
        (lambda file: file["transactions"][0].update(data="0x" + encode_transfer(STRANGER, 1).hex()), "data: the"),
        (lambda file: file["transactions"][0].update(value="1"), "value: the"),
        (lambda file: file["transactions"][0].update(operation=1), "operation: no refill has this field."),
        (lambda file: file["transactions"].append(file["transactions"][0]), "transactions: the file has 2,"),
        (lambda file: file.update(chainId="1"), "chainId: the"),
        (lambda file: file["meta"].update(createdFromSafeAddress=STRANGER), "createdFromSafeAddress: the"),
        (lambda file: file["meta"].update(name="Refill 1.00 MUSD"), "name: the"),
        (lambda file: file.pop("meta"), "meta: the Transaction Builder's file does not have this field."),
    ],
)  # fmt: skip
def test_the_file_that_owners_import_is_compared_with_the_sheet(
    tmp_path: Path, change: Callable[[Any], object], expected: str
) -> None:
    refill = a_refill()
    file = refill.file(datetime.now(UTC))
    change(file)
    refused = checked(written(tmp_path, refill, file=file))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert expected in refused.stderr


def test_without_the_file_the_sheet_is_checked_alone(tmp_path: Path) -> None:
    sheet = written(tmp_path, a_refill())
    sheet.with_name("refill-7-1f2e3d4c.json").unlink()
    assert checked(sheet).returncode == 0


@pytest.mark.parametrize("missing", ["COLD_SAFE_ADDRESS", "COLD_SAFE_OWNERS", "HOT_WALLET_ADDRESS"])
def test_without_settings_to_compare_with_nothing_is_reported(tmp_path: Path, missing: str) -> None:
    refused = checked(written(tmp_path, a_refill()), environment={missing: None})
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"set {missing} " in refused.stderr
    assert "so that the sheet can be compared" in refused.stderr


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CHAIN_ID", "31612", "chainId"),
        ("COLD_SAFE_ADDRESS", STRANGER, "safe"),
        ("COLD_SAFE_THRESHOLD", "4", "threshold"),
        ("COLD_SAFE_OWNERS", ",".join(OWNERS[:4]), "owners"),
        ("HOT_WALLET_ADDRESS", STRANGER, "to"),
        ("MUSD_TOKEN_ADDRESS", STRANGER, "to"),
    ],
)
def test_the_sheet_of_another_deployment_is_refused(tmp_path: Path, name: str, value: str, expected: str) -> None:
    refused = checked(written(tmp_path, a_refill()), environment={name: value})
    assert (refused.returncode, f"\n  {expected}: " in refused.stderr) == (1, True), refused.stderr


def test_a_token_that_the_policy_lists_may_be_refilled(tmp_path: Path) -> None:
    from treasury.policy.parser import DEVELOPMENT

    policy = tmp_path / "treasury.toml"
    policy.write_text(f'{DEVELOPMENT}\n[assets.XYZ]\naddress = "{STRANGER}"\ndecimals = 6\nfloor = "1"\n')
    sheet = written(tmp_path, a_refill(asset="XYZ", token=STRANGER, amount=5_000_000, decimals=6))
    assert checked(sheet).returncode == 1
    expected = checked(sheet, environment={"TREASURY_POLICY": str(policy)})
    assert (expected.returncode, "5.00" in expected.stdout) == (0, True), expected.stderr


def test_a_compact_signature_is_named(tmp_path: Path) -> None:
    sheet = written(tmp_path, a_refill())
    refused = run_onramp(ENVIRONMENT, "treasury", "refill-check", str(sheet), "0x" + "11" * 64)
    assert (refused.returncode, "EIP-2098" in refused.stdout) == (1, True)
