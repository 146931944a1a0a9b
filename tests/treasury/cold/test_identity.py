"""The verification of the cold wallet: a real 3-of-5 Safe passes, and every imitation is refused."""

from dataclasses import replace
from typing import Any

import pytest

from chain.deployments import deployment
from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.reads.safe import SafeState
from chain.types import to_checksum
from onramp.dev.chain.artifacts import call_data
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.safes import Safes, parrot
from tests.support.waiting import eventually
from treasury.cold.identity import ColdPin, Unverified, Verified, identity_of, judge
from treasury.cold.service import PoolColdWallet, pin_of

HOT = to_checksum("0x" + "a0" * 20)
ELSE = to_checksum("0x" + "e1" * 20)


async def verify(pool: Pool, pin: ColdPin) -> Verified | Unverified:
    newest = int(await pool.first("eth_blockNumber", []), 16)

    async def has_newest() -> bool:
        await pool.refresh()
        return pool.agreed_head() >= newest

    await eventually(has_newest)
    return await PoolColdWallet(pool, pin, forbidden_owners=[HOT]).verify()


async def refused(pool: Pool, pin: ColdPin) -> str:
    verdict = await verify(pool, pin)
    assert isinstance(verdict, Unverified)
    return verdict.detail


async def test_a_real_three_of_five_passes(pool: Pool, safes: Safes, chain: DevChain) -> None:
    verdict = await verify(pool, safes.pin(chain.deployment.safe))
    assert isinstance(verdict, Verified)
    assert verdict.version == "1.4.1"
    again = await verify(pool, safes.pin(await safes.make(tuple(reversed(safes.owners)))))
    assert isinstance(again, Verified)
    assert again.identity != verdict.identity


async def test_the_version_of_mezo_mainnet_passes(pool: Pool, safes: Safes) -> None:
    verdict = await verify(pool, safes.pin(await safes.make_old()))
    assert isinstance(verdict, Verified)
    assert verdict.version == "1.3.0"


async def test_a_version_that_is_not_registered_on_the_chain_is_refused(
    pool: Pool, safes: Safes, chain: DevChain
) -> None:
    state = await PoolColdWallet(pool, safes.pin(chain.deployment.safe)).read()
    verdict = judge(state, safes.pin(chain.deployment.safe), deployment(31612))
    assert isinstance(verdict, Unverified)
    assert "is not Safe 1.3.0 of Mezo mainnet" in verdict.detail


async def test_a_counterfeit_with_the_same_answers_is_refused_for_its_code(
    pool: Pool, safes: Safes, chain: DevChain
) -> None:
    true = chain.deployment.safe
    await safes.place(ELSE, parrot(true))
    singleton = safes.contracts.deployment.safes["1.4.1"].singletons[1]
    await safes.store(ELSE, 0, singleton)
    threshold, owners = await safes.contracts.safe_owners(ELSE)
    assert (threshold, owners) == (3, safes.owners)
    detail = await refused(pool, safes.pin(ELSE))
    assert detail.startswith("Its code 0x")
    assert "singleton" not in detail


async def test_a_swapped_singleton_is_refused_though_it_is_the_same_code(pool: Pool, safes: Safes) -> None:
    safe = await safes.make()
    singleton = safes.contracts.deployment.safes["1.4.1"].singletons[1]
    copy = to_checksum("0x" + "c0" * 20)
    await safes.place(copy, await safes.chain.rpc("eth_getCode", singleton, "latest"))
    await safes.store(safe, 0, copy)
    assert await refused(pool, safes.pin(safe)) == (
        f"Its singleton {copy} is not Safe 1.3.0, 1.4.1 of Mezo testnet. "
        f"Its fallback handler {safes.contracts.deployment.safes['1.4.1'].fallback_handlers[0]} is not the canonical one."
    )


async def test_a_module_is_refused(pool: Pool, safes: Safes) -> None:
    safe = await safes.make()
    await safes.execute(safe, safe, call_data("enableModule(address)", ELSE))
    assert await refused(pool, safes.pin(safe)) == f"It has modules, which spend without its owners: {ELSE}."


async def test_a_changed_owner_is_refused(pool: Pool, safes: Safes) -> None:
    safe = await safes.make()
    first, second = safes.owners[:2]
    await safes.execute(safe, safe, call_data("swapOwner(address,address,address)", first, second, ELSE))
    assert (await refused(pool, safes.pin(safe))).startswith("Its owners are ")


async def test_another_threshold_is_refused(pool: Pool, safes: Safes) -> None:
    assert await refused(pool, safes.pin(await safes.make(threshold=2))) == "Its threshold is 2, not 3."


async def test_a_guard_is_refused_unless_it_is_the_pinned_one(pool: Pool, safes: Safes, chain: DevChain) -> None:
    safe = await safes.make()
    assert await refused(pool, safes.pin(safe, guard=ELSE)) == f"Its guard is none, not {ELSE}."
    before = await verify(pool, safes.pin(safe))
    slot = 0x4A204F620C8C5CCDCA3FD54D003BADD85BA500436A431F0CBDA4F558C93C34C8
    await safes.store(safe, slot, ELSE)
    assert await refused(pool, safes.pin(safe)) == f"Its guard is {ELSE}, not none."
    after = await verify(pool, safes.pin(safe, guard=ELSE))
    assert isinstance(before, Verified) and isinstance(after, Verified)
    assert before.identity != after.identity


async def test_another_fallback_handler_is_refused_and_having_none_is_allowed(pool: Pool, safes: Safes) -> None:
    safe = await safes.make(handler=ELSE)
    assert await refused(pool, safes.pin(safe)) == f"Its fallback handler {ELSE} is not the canonical one."
    bare = await safes.make()
    await safes.execute(bare, bare, call_data("setFallbackHandler(address)", "0x" + "0" * 40))
    assert isinstance(await verify(pool, safes.pin(bare)), Verified)


async def test_the_hot_wallet_must_not_be_an_owner(pool: Pool, safes: Safes) -> None:
    owners = (*safes.owners[:4], HOT)
    assert await refused(pool, safes.pin(await safes.make(owners), owners=owners)) == (
        "The hot wallet is one of its owners."
    )


async def test_an_address_without_a_contract_is_refused(pool: Pool, safes: Safes) -> None:
    nobody = to_checksum("0x" + "d0" * 20)
    assert await refused(pool, safes.pin(nobody)) == f"There is no contract at {nobody}."


async def test_one_provider_is_never_enough_whatever_agreement_is_configured(safes: Safes, chain: DevChain) -> None:
    alone = Pool(parse_nodes(chain.rpc_urls[0], ""), chain_id=CHAIN_ID, agreement=1)
    try:
        assert "two providers" in await refused(alone, safes.pin(chain.deployment.safe))
    finally:
        await alone.close()


def test_a_pin_that_cannot_be_met_is_refused_at_the_start() -> None:
    assert pin_of(CHAIN_ID, "", [], 3, "") is None
    with pytest.raises(ValueError, match="distinct"):
        pin_of(CHAIN_ID, ELSE, [HOT, HOT, ELSE], 3, None)
    with pytest.raises(ValueError, match="COLD_SAFE_THRESHOLD"):
        pin_of(CHAIN_ID, ELSE, [HOT], 3, None)


def test_the_identity_changes_with_anything_that_decides_who_can_spend() -> None:
    one = SafeState(
        ELSE, 7, "0x" + "11" * 32, ELSE, singleton_has_code=True, nonce=3,
        owners=(HOT, ELSE), threshold=2, modules=(), guard=None, fallback_handler=None,
    )  # fmt: skip
    changes: list[dict[str, Any]] = [
        {"address": HOT}, {"code_hash": "0x" + "22" * 32}, {"singleton": HOT}, {"owners": (HOT,)}, {"threshold": 1},
        {"modules": (HOT,)}, {"guard": HOT}, {"fallback_handler": HOT},
    ]  # fmt: skip
    changed = {identity_of(replace(one, **change), CHAIN_ID) for change in changes} | {identity_of(one, CHAIN_ID + 1)}
    assert len(changed - {identity_of(one, CHAIN_ID)}) == len(changes) + 1
    assert identity_of(replace(one, owners=(ELSE, HOT), nonce=4, block_number=8), CHAIN_ID) == identity_of(
        one, CHAIN_ID
    )
