"""Call contracts by their ABI, for reads that are rare and not on the payment path: Safes, the sanctions oracle, Mezo's precompiles.

web3 encodes the call and decodes the answer; the pool finds the agreed answer at one block (`chain.reads.web3_provider`). The first call
loads web3 in a worker thread, so that neither the start nor the event loop waits for it.
"""

import asyncio
import importlib
from typing import Any

from chain.deployments import abi
from chain.errors import ChainError
from chain.pool.pool import Pool
from chain.types import Address, to_checksum

_PROVIDER = "chain.reads.web3_provider"


class InvalidAnswer(ChainError):
    """The providers agree that the contract reverts, or on an answer that its ABI does not allow."""


class Contract:
    """A contract at one block, whose answers at least `k` providers agree on."""

    def __init__(self, pool: Pool, address: Address, abi_name: str, *, block_number: int, k: int | None = None) -> None:
        """Prepare calls by `contracts/abi/<abi_name>.json`. `k` is how many providers must agree, CHAIN_AGREEMENT by default."""
        self._pool = pool
        self._address = to_checksum(address)
        self._abi_name = abi_name
        self._block_number = block_number
        self._k = k

    async def call(self, function: str, *arguments: Any) -> Any:
        """Return what the function of the contract returns. Raises InvalidAnswer, or NoAgreement if too few providers agree."""
        web3_provider = await asyncio.to_thread(importlib.import_module, _PROVIDER)
        from web3.exceptions import Web3Exception

        web3 = web3_provider.web3_over(self._pool, quorum=True, k=self._k)
        contract = web3.eth.contract(address=self._address, abi=abi(self._abi_name))
        try:
            return await contract.functions[function](*arguments).call(block_identifier=self._block_number)
        # The provider raises the pool's errors; web3's own are left for reverts and for answers that it cannot decode.
        except (Web3Exception, web3_provider.AnswerTooLarge) as error:
            raise InvalidAnswer(f"{function}: the contract reverts or returns something else") from error
