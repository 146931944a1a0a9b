"""PayOnce and its tokens, deployed once for each module."""

import asyncio

import pytest

from onramp.dev.chain.devchain import DevChain
from tests.support.paths import ROOT
from tests.support.payonce_chain import PayOnceChain


@pytest.fixture(autouse=True, scope="module")
def compiler() -> None:
    """Skip what needs the compiler where it is not installed."""
    if not (ROOT / "node_modules/solc").is_dir():
        pytest.skip("node packages are not installed (make setup)")


@pytest.fixture(scope="module")
def payonce(module_chain: DevChain) -> PayOnceChain:
    chain = PayOnceChain(module_chain)
    asyncio.run(chain.prepare())
    return chain
