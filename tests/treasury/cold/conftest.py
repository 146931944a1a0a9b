"""Fixtures: the development chain's pool, and its Safes."""

from collections.abc import AsyncIterator

import pytest

from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.safes import Safes


@pytest.fixture
async def pool(chain: DevChain) -> AsyncIterator[Pool]:
    pool = Pool(parse_nodes(",".join(chain.rpc_urls), ""), chain_id=CHAIN_ID)
    yield pool
    await pool.close()


@pytest.fixture
def safes(chain: DevChain) -> Safes:
    return Safes(chain)
