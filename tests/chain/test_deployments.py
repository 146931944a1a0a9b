"""Contract addresses of each chain."""

import pytest

from chain.deployments import deployment


@pytest.mark.parametrize("chain_id", [31611, 31612])
def test_each_chain_has_its_contracts(chain_id: int) -> None:
    found = deployment(chain_id)
    assert set(found.safes) == {"1.3.0", "1.4.1"}
    assert found.explorer.startswith("https://explorer.")
    with pytest.raises(LookupError):
        deployment(1)
