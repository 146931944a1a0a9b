"""Coins leave the hot wallet and no row says why: a person sees it, is told what to type, answers, and signing goes on."""

from collections.abc import Iterator

import pytest

from onramp.dev.machine import ROOT
from tests.conftest import DevStack, dev_process
from tests.onramp.test_operators_hand import asked, onramp, post, ready

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
