"""Two deployments on one Stripe account, for the scenarios about who pays a purchase."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from onramp.dev.chain.devchain import DevChain
from tests.support.deployments import another_database
from tests.support.service import Start
from tests.support.two_deployments import TwoDeployments


@pytest.fixture
async def street(
    request: pytest.FixtureRequest, start: Start, chain: DevChain, tmp_path: Path, database_url: str
) -> AsyncIterator[TwoDeployments]:
    async with AsyncExitStack() as stack:
        street = TwoDeployments(start, chain, tmp_path, database_url, another_database(request, database_url), stack)
        await street.open()
        yield street
