"""Sweeps as operators make them, against everything that `onramp dev` starts: balances, two persons, the Safe, the chain."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from onramp.dev.local.host import ROOT
from tests.support.command_line import run_onramp
from tests.support.dev_stack import DevStack, post_json
from tests.support.treasury_commands import read_balance, run_treasury, treasury_json

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(), reason="node packages are not installed (make setup)"
)


def check(stack: DevStack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `refill-check` with the settings that it compares a sheet with, and without key and service."""
    from onramp.dev.chain.deploy import _address_of, _owner_keys

    environment = {
        "COLUMNS": "200",
        "HOT_WALLET_ADDRESS": treasury_json(stack.api, stack.viewer, "ledger")["accounts"][0]["wallet"],
        "COLD_SAFE_ADDRESS": treasury_json(stack.api, stack.viewer, "policy")["active"]["coldWallet"]["address"],
        "COLD_SAFE_OWNERS": ",".join(_address_of(key) for key in _owner_keys()),
    }
    return run_onramp(environment, "treasury", "refill-check", *arguments)


def musd(stack: DevStack, holder: str) -> int:
    data = "0x70a08231" + holder[2:].lower().rjust(64, "0")
    call = {"to": "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503", "data": data}
    body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]}
    return int(post_json(stack.rpc, body)[1]["result"], 16)


def test_a_sweep_is_proposed_by_one_approved_by_another_and_arrives_in_the_safe(dev_stack: DevStack) -> None:
    stack = dev_stack
    before = read_balance(stack)
    shown = run_treasury(stack.api, stack.viewer, "balances")
    assert "above its ceiling" in shown.stdout
    assert "onramp treasury sweep --asset MUSD --amount excess" in shown.stdout
    plans = {one["asset"]: one for one in treasury_json(stack.api, stack.viewer, "plan")["data"]}
    assert plans["MUSD"]["approvalNeeded"] is True
    assert plans["BTC"]["refusal"] == "policy_refused"
    dry = treasury_json(stack.api, stack.operator, "sweep", "--asset", "MUSD", "--amount", "6000", "--dry-run")
    assert (dry["amount"], dry["to"]) == ("100.00", plans["MUSD"]["to"]), "the first one to a Safe is a small one"
    assert treasury_json(stack.api, stack.viewer, "sweeps")["data"] == []

    sweep = treasury_json(stack.api, stack.approver, "sweep", "--asset", "MUSD", "--amount", "6000")
    assert sweep["status"] == "awaiting_approval"
    own = run_treasury(stack.api, stack.approver, "approve", sweep["id"])
    assert (own.returncode, own.stderr.startswith("onramp: self_approval: ")) == (1, True)
    second = run_treasury(stack.api, stack.operator, "sweep", "--asset", "MUSD")
    assert (second.returncode, second.stderr.startswith("onramp: already_active: ")) == (1, True)
    forbidden = run_treasury(stack.api, stack.operator, "approve", sweep["id"])
    assert (forbidden.returncode, forbidden.stderr.startswith("onramp: forbidden: ")) == (1, True)
    assert musd(stack, sweep["to"]) == 0
    assert (
        treasury_json(stack.api, stack.approver, "reject", sweep["id"], "--note", "the other way round")["status"]
        == "rejected"
    )

    sweep = treasury_json(stack.api, stack.operator, "sweep", "--asset", "MUSD", "--amount", "6000")
    arrived = run_treasury(stack.api, stack.approver, "approve", sweep["id"], "--note", "as agreed", "--watch")
    assert arrived.returncode == 0, arrived.stderr
    states = [line.split()[1] for line in arrived.stdout.splitlines()]
    assert states[:3] == ["planned", "awaiting_approval", "approved"]
    assert states[-1] == "final"
    assert musd(stack, sweep["to"]) == 100 * 10**18
    final = treasury_json(stack.api, stack.viewer, "sweeps", sweep["id"])
    assert final["approvedBy"] != final["proposedBy"]
    nonce = treasury_json(stack.api, stack.viewer, "transaction", final["transactionId"])
    assert (nonce["status"], [one["hash"] for one in nonce["attempts"]]) == ("final", [final["txHash"]])
    until = time.monotonic() + 60
    while (now := read_balance(stack))["onChain"] != f"{float(before['onChain']) - 100:.2f}":
        assert time.monotonic() < until, now
        time.sleep(0.5)


def test_swept_coins_return_with_three_owners_signatures(dev_stack: DevStack, tmp_path: Path) -> None:
    """Prepare the file and the sheet, sign with three of the five keys, and send from any account with gas."""
    from onramp.dev.chain.deploy import _owner_keys
    from tests.support.safes import SENDER, sign

    stack = dev_stack
    before = float(read_balance(stack)["onChain"])
    safe = (
        treasury_json(stack.api, stack.viewer, "plan")["data"][0]["to"]
        or treasury_json(stack.api, stack.viewer, "sweeps")["data"][0]["to"]
    )
    assert musd(stack, safe) >= 7 * 10**18, "the sweep of the test before"
    shown = run_treasury(stack.api, stack.viewer, "refill", "--amount", "7.00", "--out", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    assert "onramp treasury refill-check" in shown.stdout and "the transfer fails" not in shown.stdout
    (tmp_path / "much").mkdir()
    much = run_treasury(stack.api, stack.viewer, "refill", "--amount", "50000", "--out", str(tmp_path / "much"))
    assert "The Safe holds " in much.stdout and "the transfer fails" in much.stdout, (
        "a person would collect signatures in vain"
    )
    (sheet,) = tmp_path.glob("*.sheet.json")
    (builder,) = set(tmp_path.glob("refill-*.json")) - {sheet}
    assert json.loads(builder.read_text())["meta"]["createdFromSafeAddress"] == safe
    digest = bytes.fromhex(json.loads(sheet.read_text())["sheet"]["safeTxHash"][2:])
    signatures = [sign("0x" + key.hex(), digest) for key in _owner_keys()[:3]]
    few = check(stack, str(sheet), *signatures[:2])
    assert (few.returncode, few.stderr) == (1, "onramp: too few owners have signed; nothing can be sent yet.\n")
    assert "2 of 3 owners have signed." in few.stdout
    enough = json.loads(check(stack, str(sheet), *signatures, "--json").stdout)
    assert (enough["transfer"]["amount"], enough["transfer"]["asset"]) == ("7.00", "MUSD")
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "eth_sendTransaction",
        "params": [{"from": SENDER, "to": enough["to"], "data": enough["data"]}],
    }
    assert "result" in post_json(stack.rpc, body)[1]
    until = time.monotonic() + 60
    while float(read_balance(stack)["onChain"]) != before + 7:
        assert time.monotonic() < until
        time.sleep(0.5)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--asset", "DOGE", "--amount", "1"), "onramp: policy_refused: "),
        (("--amount", "0"), "onramp: validation"),
        (("--amount", "excess"), "onramp: validation"),
        (("--amount", "1.0000000000000000001"), "onramp: policy_refused: amount"),
    ],
)
def test_a_refill_of_nothing_is_not_prepared(
    dev_stack: DevStack, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    read_balance(dev_stack)
    refused = run_treasury(dev_stack.api, dev_stack.viewer, "refill", *arguments, "--out", str(tmp_path))
    assert (refused.returncode, refused.stderr[: len(expected)]) == (1, expected)
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_that_was_changed_is_refused(dev_stack: DevStack, tmp_path: Path) -> None:
    read_balance(dev_stack)
    run_treasury(dev_stack.api, dev_stack.viewer, "refill", "--amount", "7.00", "--out", str(tmp_path))
    (sheet,) = tmp_path.glob("*.sheet.json")
    expected = json.loads(sheet.read_text())
    expected["sheet"]["to"] = "0x" + "66" * 20
    sheet.write_text(json.dumps(expected))
    refused = check(dev_stack, str(sheet), "0x" + "11" * 65)
    assert "was changed" in refused.stderr


@pytest.mark.parametrize(
    ("order", "code", "named"),
    [
        ({"asset": "DOGE", "amount": "1"}, "policy_refused", "assets"),
        ({"asset": "MUSD", "amount": "99.99"}, "policy_refused", "sweeps.min"),
        ({"asset": "MUSD", "amount": "20000.01"}, "policy_refused", "sweeps.max_per_transaction"),
        ({"asset": "MUSD", "amount": "10000000"}, "insufficient_available", "available"),
        ({"asset": "MUSD", "amount": "96000"}, "policy_refused", "assets.MUSD.floor"),
    ],
)
def test_a_refusal_by_the_policy_names_the_rule_and_moves_nothing(
    dev_stack: DevStack, order: dict[str, str], code: str, named: str
) -> None:
    stack = dev_stack
    read_balance(stack)
    before = treasury_json(stack.api, stack.viewer, "sweeps")["data"]
    for dry in (True, False):
        status, problem = post_json(f"{stack.api}/api/v1/treasury/sweeps", {**order, "dryRun": dry}, stack.operator)
        assert (status, problem["code"]) == (409, code)
        assert named in problem["detail"]
    assert treasury_json(stack.api, stack.viewer, "sweeps")["data"] == before


@pytest.mark.parametrize("amount", ["0", "-1", "1e3", "everything", "1.0000000000000000001", ""])
def test_an_invalid_amount_is_422(dev_stack: DevStack, amount: str) -> None:
    body = {"asset": "MUSD", "amount": amount}
    status, problem = post_json(f"{dev_stack.api}/api/v1/treasury/sweeps", body, dev_stack.operator)
    assert (status, problem["errors"][0]["pointer"]) == (422, "/amount")


def test_paused_sweeps_are_neither_proposed_nor_approved_and_a_panic_is_armed_all_the_same(dev_stack: DevStack) -> None:
    stack = dev_stack
    read_balance(stack)
    sweep = treasury_json(stack.api, stack.operator, "sweep", "--asset", "MUSD", "--amount", "5000.01")
    treasury_json(stack.api, stack.operator, "pause", "--scope", "sweeps", "--note", "a test")
    for arguments in (("sweep", "--asset", "MUSD"), ("sweep", "--asset", "MUSD", "--dry-run")):
        refused = run_treasury(stack.api, stack.operator, *arguments)
        assert refused.stderr.startswith("onramp: paused: ")
    assert run_treasury(stack.api, stack.approver, "approve", sweep["id"]).stderr.startswith("onramp: paused: ")
    assert treasury_json(stack.api, stack.approver, "reject", sweep["id"])["status"] == "rejected"
    panic = treasury_json(stack.api, stack.operator, "panic", "--yes")["data"]
    assert {row["asset"] for row in panic} == {"MUSD", "BTC"}
    assert {row["status"] for row in panic} == {"awaiting_approval"}
    assert run_treasury(stack.api, stack.operator, "panic", "--yes").stderr.startswith("onramp: already_active: ")
    for row in panic:
        treasury_json(stack.api, stack.approver, "reject", row["id"], "--note", "a test")
    assert treasury_json(stack.api, stack.approver, "resume", "--scope", "sweeps")["sweeps"] is False


def test_the_policy_is_shown_and_the_same_again_changes_nothing(dev_stack: DevStack) -> None:
    stack = dev_stack
    shown = treasury_json(stack.api, stack.viewer, "policy")
    assert shown["active"]["version"] == 1
    assert shown["active"]["payouts"]["approvalAbove"] == "10000.00"
    assert treasury_json(stack.api, stack.approver, "policy", "apply")["version"] == 1
    assert run_treasury(stack.api, stack.operator, "policy", "apply").stderr.startswith("onramp: forbidden: ")
    assert run_treasury(stack.api, stack.approver, "policy", "approve", "pol_x").stderr.startswith(
        "onramp: not_found: "
    )
    assert run_treasury(stack.api, stack.approver, "policy", "approve").returncode == 2


def test_an_invalid_key_is_named_by_its_variable(dev_stack: DevStack) -> None:
    refused = run_treasury(dev_stack.api, "ork_" + "a" * 52, "balances")
    assert (refused.returncode, "ONRAMP_API_KEY" in refused.stderr) == (1, True), refused.stderr
