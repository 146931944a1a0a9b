"""What providers agree on about PayOnce, on a real node: its code, what is paid, and what it may move."""

import itertools
from collections.abc import Callable

import pytest

from chain import payonce
from chain.abi.erc20 import encode_approve
from chain.abi.payonce import Payment, encode_pay
from chain.deployments import deployment
from chain.errors import NoAgreement
from chain.pool.pool import Pool
from chain.reads.payonce import Code, read_allowance, read_code, read_paid
from chain.types import keccak, to_checksum, to_hex
from onramp.dev.chain.deploy import DevContracts
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.faulty_proxy import FaultyProxy, instead

BUYER = to_checksum("0x" + "bb" * 20)
EMPTY = to_checksum("0x" + "e0" * 20)
NEVER = keccak(b"never")
_turns = itertools.count()


@pytest.fixture
async def paid(chain: DevChain) -> tuple[str, list[bytes], int]:
    """A payer who has paid 120 references in one block: the payer, the references, the block."""
    contracts, payer = DevContracts(chain.anvil.url, CHAIN_ID), to_checksum((await chain.rpc("eth_accounts"))[4])
    await chain.mint(payer, 10**6)
    await contracts.send(payer, chain.deployment.musd, to_hex(encode_approve(payonce.ADDRESS, 500)))
    turn = next(_turns)
    references = [keccak(b"%d %d" % (turn, place)) for place in range(120)]
    batch = encode_pay(chain.deployment.musd, [Payment(reference, BUYER, 1) for reference in references])
    receipt = await contracts.send(payer, payonce.ADDRESS, to_hex(batch))
    await chain.rpc("anvil_mine", "0x2")
    return payer, references, int(receipt["blockNumber"], 16)


async def test_paid_references_are_read_in_few_requests(
    paid: tuple[str, list[bytes], int], provider_pool: Callable[..., Pool], providers: list[FaultyProxy]
) -> None:
    payer, references, block = paid
    pool = provider_pool(2)
    await pool.refresh()
    before = [provider.requests for provider in providers]
    answers = await read_paid(pool, payonce.ADDRESS, payer, [*references, NEVER, NEVER], pool.agreed_head())
    assert answers == {**dict.fromkeys(references, block), NEVER: 0}
    assert [provider.requests - count for provider, count in zip(providers, before, strict=True)] == [2, 2, 2]
    assert await read_paid(pool, payonce.ADDRESS, BUYER, references[:1], pool.agreed_head()) == {references[0]: 0}
    assert await read_allowance(pool, deployment(CHAIN_ID).musd, payer, payonce.ADDRESS) == 380


@pytest.mark.parametrize("lie", ["0x" + "00" * 32, "0x"])
async def test_one_lie_changes_nothing_and_two_of_three_decide_nothing_false(
    paid: tuple[str, list[bytes], int], provider_pool: Callable[..., Pool], providers: list[FaultyProxy], lie: str
) -> None:
    payer, references, block = paid
    pool = provider_pool(1)  # money needs two, whatever CHAIN_AGREEMENT is
    await pool.refresh()
    head = pool.agreed_head()
    providers[0].always(instead(lie), "eth_call")
    assert await read_paid(pool, payonce.ADDRESS, payer, references[:3], head) == dict.fromkeys(references[:3], block)
    providers[1].always(instead("0x" + "00" * 31 + "07"), "eth_call")
    with pytest.raises(NoAgreement):
        await read_paid(provider_pool(2), payonce.ADDRESS, payer, references[:3], head)


async def test_no_code_is_no_answer_and_never_an_unpaid_reference(
    chain: DevChain, provider_pool: Callable[..., Pool]
) -> None:
    pool = provider_pool(2)
    await pool.refresh()
    with pytest.raises(NoAgreement):
        await read_paid(pool, EMPTY, BUYER, [NEVER], pool.agreed_head())


async def test_code_is_recognised(
    chain: DevChain, provider_pool: Callable[..., Pool], providers: list[FaultyProxy]
) -> None:
    pool = provider_pool(2)
    addresses = (payonce.ADDRESS, payonce.FACTORY, chain.deployment.musd, EMPTY)
    assert await read_code(pool, *addresses) == [Code.PAYONCE, Code.FACTORY, Code.OTHER, Code.MISSING]
    providers[0].always(instead("0x60016002"), "eth_getCode")
    assert await read_code(pool, payonce.ADDRESS) == [Code.PAYONCE]
