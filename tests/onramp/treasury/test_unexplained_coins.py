"""Coins leave the hot wallet and no row explains it: operators see it and the next command, explain it, and signing goes on."""

import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from onramp.dev.local.host import ROOT
from tests.support.dev_stack import DevStack, dev_process, post_json
from tests.support.treasury_commands import read_balance, run_treasury, treasury_json

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(), reason="node packages are not installed (make setup)"
)
THIEF = "0x976EA74026E726554dB657fA54763abd0C3a0aa9"
TOKEN = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """A separate stack: these tests stop all signing."""
    with dev_process(tmp_path_factory.mktemp("difference")) as started:
        yield started


def rpc(stack: DevStack, method: str, *params: object) -> object:
    _, answer = post_json(stack.rpc, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    assert "error" not in answer, answer
    return answer["result"]


def test_ledger_and_chain_agree_until_a_stranger_uses_the_key(stack: DevStack) -> None:
    settle(stack)
    calm = run_treasury(stack.api, stack.operator, "reconcile")
    assert (calm.returncode, calm.stderr) == (0, ""), calm.stderr
    books = {one["asset"]: one for one in treasury_json(stack.api, stack.viewer, "ledger")["accounts"]}
    assert (books["MUSD"]["available"], books["MUSD"]["externalIn"]) == ("100000.00", "-100000.00")
    found = treasury_json(stack.api, stack.operator, "reconcile")
    assert (found["agrees"], found["unexplained"]) == (True, [])
    assert {one["asset"]: one["change"] for one in found["data"]} == {"MUSD": "0.00", "BTC": "0.00"}


def test_a_stolen_key_is_seen_named_and_answered_by_two_persons_and_signing_goes_on(stack: DevStack) -> None:
    settle(stack)
    wallet = treasury_json(stack.api, stack.viewer, "ledger")["data"][0]["subject"]
    data = "0xa9059cbb" + THIEF[2:].lower().rjust(64, "0") + f"{250 * 10**18:064x}"
    rpc(stack, "anvil_impersonateAccount", wallet)
    rpc(stack, "eth_sendTransaction", {"from": wallet, "to": TOKEN, "data": data, "gas": hex(100_000)})
    until = time.monotonic() + 90
    while not (found := reconciled(stack)).get("unexplained"):
        assert time.monotonic() < until, found
        time.sleep(1)
    (odd,) = found["unexplained"]
    assert (found["agrees"], {one["asset"]: one["suspense"] for one in found["data"]}["MUSD"]) == (False, "250.00")
    result = run_treasury(stack.api, stack.operator, "reconcile")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("onramp: ledger and chain differ: 250.00 MUSD is missing")
    assert f"onramp treasury answer {odd['id']}" in result.stdout
    assert "treasury_signing_stopped 1.0" in metrics(stack)

    eve = second_approver(stack)
    for subject in ("MUSD", odd["id"]):
        note = ("--note", "a drill")
        assert treasury_json(stack.api, stack.approver, "answer", subject, *note)["status"] == "asked"
        assert run_treasury(stack.api, stack.approver, "answer", subject, *note).stderr.startswith(
            "onramp: self_approval: "
        )
        assert treasury_json(stack.api, eve, "answer", subject, *note)["status"] == "answered"
    while "treasury_signing_stopped 0.0" not in metrics(stack):
        assert time.monotonic() < until
        time.sleep(1)
    found = reconciled(stack)
    assert (found["unexplained"], {one["asset"]: one["suspense"] for one in found["data"]}["MUSD"]) == ([], "0.00")


def settle(stack: DevStack) -> None:
    """Wait until the balance is read and the approval of PayOnce, which a new stack makes, is proved: then the ledger begins."""
    read_balance(stack)
    until = time.monotonic() + 60
    while "agrees" not in reconciled(stack) or not treasury_json(stack.api, stack.viewer, "ledger")["data"]:
        assert time.monotonic() < until
        time.sleep(0.5)


def reconciled(stack: DevStack) -> dict[str, Any]:
    """Reconcile over HTTP: the command exits with 1 if something differs."""
    _, found = post_json(f"{stack.api}/api/v1/treasury/reconcile", {}, stack.operator)
    return dict(found)


def metrics(stack: DevStack) -> str:
    with urllib.request.urlopen(stack.metrics, timeout=10) as answer:
        return str(answer.read().decode())


def second_approver(stack: DevStack) -> str:
    body = {"role": "approver", "name": "Eve", "person": "eve"}
    status, made = post_json(f"{stack.api}/api/v1/admin/keys", body, stack.admin)
    assert status == 201, made
    return str(made["secret"])
