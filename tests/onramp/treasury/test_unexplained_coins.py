"""Coins leave the hot wallet and no row says why: a person sees it, is told what to type, answers, and signing goes on."""

import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from onramp.dev.local.host import ROOT
from tests.onramp.treasury.test_sweeps_end_to_end import asked, onramp, post, ready
from tests.support.dev_stack import DevStack, dev_process

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(), reason="node packages are not installed (make setup)"
)
THIEF = "0x976EA74026E726554dB657fA54763abd0C3a0aa9"
TOKEN = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """A stack of its own: what happens here stops all signing."""
    with dev_process(tmp_path_factory.mktemp("difference")) as started:
        yield started


def rpc(stack: DevStack, method: str, *params: object) -> object:
    _, answer = post(stack.rpc, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    assert "error" not in answer, answer
    return answer["result"]


def test_ledger_and_chain_agree_until_another_hand_uses_the_key(stack: DevStack) -> None:
    ready(stack)
    calm = onramp(stack, stack.operator, "reconcile")
    assert (calm.returncode, calm.stderr) == (0, ""), calm.stderr
    books = {one["asset"]: one for one in asked(stack, stack.viewer, "ledger")["accounts"]}
    assert (books["MUSD"]["available"], books["MUSD"]["externalIn"]) == ("100000.00", "-100000.00")
    found = asked(stack, stack.operator, "reconcile")
    assert (found["agrees"], found["unexplained"]) == (True, [])
    assert {one["asset"]: one["change"] for one in found["data"]} == {"MUSD": "0.00", "BTC": "0.00"}


def test_a_stolen_key_is_seen_named_and_answered_by_two_persons_and_signing_goes_on(stack: DevStack) -> None:
    ready(stack)
    wallet = asked(stack, stack.viewer, "ledger")["data"][0]["subject"]
    data = "0xa9059cbb" + THIEF[2:].lower().rjust(64, "0") + f"{250 * 10**18:064x}"
    rpc(stack, "anvil_impersonateAccount", wallet)
    rpc(stack, "eth_sendTransaction", {"from": wallet, "to": TOKEN, "data": data, "gas": hex(100_000)})
    until = time.monotonic() + 90
    while not (found := reconciled(stack)).get("unexplained"):
        assert time.monotonic() < until, found
        time.sleep(1)
    (odd,) = found["unexplained"]
    assert (found["agrees"], {one["asset"]: one["suspense"] for one in found["data"]}["MUSD"]) == (False, "250.00")
    said = onramp(stack, stack.operator, "reconcile")
    assert (said.returncode, said.stderr.count("\n")) == (1, 1)
    assert said.stderr.startswith("onramp: ledger and chain differ: 250.00 MUSD is missing")
    assert f"onramp treasury answer {odd['id']}" in said.stdout
    assert "treasury_signing_stopped 1.0" in metrics(stack)

    eve = second_approver(stack)
    for subject in ("MUSD", odd["id"]):
        note = ("--note", "a drill")
        assert asked(stack, stack.approver, "answer", subject, *note)["status"] == "asked"
        assert onramp(stack, stack.approver, "answer", subject, *note).stderr.startswith("onramp: self_approval: ")
        assert asked(stack, eve, "answer", subject, *note)["status"] == "answered"
    while "treasury_signing_stopped 0.0" not in metrics(stack):
        assert time.monotonic() < until
        time.sleep(1)
    found = reconciled(stack)
    assert (found["unexplained"], {one["asset"]: one["suspense"] for one in found["data"]}["MUSD"]) == ([], "0.00")


def reconciled(stack: DevStack) -> dict[str, Any]:
    """Asked over HTTP: the command leaves with 1 where something differs."""
    _, found = post(f"{stack.api}/api/v1/treasury/reconcile", {}, stack.operator)
    return dict(found)


def metrics(stack: DevStack) -> str:
    with urllib.request.urlopen(stack.metrics, timeout=10) as answer:
        return str(answer.read().decode())


def second_approver(stack: DevStack) -> str:
    body = {"role": "approver", "name": "Eve", "person": "eve"}
    status, made = post(f"{stack.api}/api/v1/admin/keys", body, stack.admin)
    assert status == 201, made
    return str(made["secret"])
