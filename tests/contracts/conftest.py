"""PayOnce and its tokens, deployed once for each module."""

import asyncio

import pytest

from onramp.dev.chain.devchain import DevChain
from tests.support.payonce_chain import PayOnceChain


@pytest.fixture(scope="module")
def payonce(module_chain: DevChain) -> PayOnceChain:
    chain = PayOnceChain(module_chain)
    asyncio.run(chain.prepare())
    return chain
