"""The policy file, what loosens it, and what a sweep may be: all of it without a database."""

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hot_wallet import BUYER, CHAIN_ID, HOT_WALLET, MUSD, SAFE, TOKEN
from treasury.cold.identity import ColdPin
from treasury.core.asset_policy import AssetPolicy, SweepLimits
from treasury.core.assets import NATIVE_AS_TOKEN
from treasury.policy.parser import DEVELOPMENT, PolicyError, fit_session_max, parse
from treasury.policy.planner import Movement, Nothing, Refusal, Snapshot, due, plan
from treasury.policy.serialization import dump, load
from treasury.policy.states import Loosening, Terms, Tightening, Unchanged, compare

POLICY = parse(DEVELOPMENT, musd=TOKEN)
PIN = ColdPin(CHAIN_ID, SAFE, (BUYER,), 1)
TERMS = Terms(POLICY, TOKEN, PIN)
SCOPE = HOT_WALLET.key
MUSD_RULES = POLICY.assets["MUSD"]


def test_the_file_of_the_interface_means_what_it_says() -> None:
    assert POLICY.payouts.max_per_day == 100_000 * MUSD
    assert (MUSD_RULES.floor, MUSD_RULES.target, MUSD_RULES.ceiling) == (5000 * MUSD, 15_000 * MUSD, 20_000 * MUSD)
    assert POLICY.assets["BTC"].floor == 10**15
    assert POLICY.max_fee == 50 * 10**9
    assert load(dump(TERMS)) == TERMS


def test_every_problem_is_listed_with_its_line() -> None:
    text = DEVELOPMENT.replace('"100"', "100").replace('floor = "5000"', 'floor = "-5"').replace("24", "0")
    text = text.replace(
        "[fees]", f'[assets.TWICE]\naddress = "{NATIVE_AS_TOKEN}"\ndecimals = 18\nfloor = "0"\n[fees]\ntip = 1'
    )
    with pytest.raises(PolicyError) as error:
        parse(text.replace('ceiling = "20000"', 'ceiling = "15000"'), musd=TOKEN)
    lines = [problem.partition(" must")[0].partition(" is ")[0] for problem in error.value.problems]
    assert lines == [
        "line 9: sweeps.min", "line 10: sweeps.approval_expires_hours", "line 13: assets.MUSD.floor",
        "line 15: assets.MUSD.ceiling", "line 19: assets.TWICE.address", "line 23: fees.tip",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "[payouts", "payouts = 1", "[assets]\nMUSD = {}", "assets = {MUSD = {}}"])
def test_nothing_is_left_to_a_default_in_silence(text: str) -> None:
    with pytest.raises(PolicyError) as error:
        parse(text, musd=TOKEN)
    assert error.value.problems
    if "MUSD" in text:
        assert any("assets.MUSD.floor is missing" in problem for problem in error.value.problems)


def test_usdc_has_the_decimals_that_the_ledger_counts_it_in() -> None:
    text = DEVELOPMENT + f'[assets.USDC]\naddress = "{BUYER}"\ndecimals = 6\nfloor = "0"\n'
    assert parse(text, musd=TOKEN).assets["USDC"].decimals == 6
    with pytest.raises(PolicyError, match=r"assets\.USDC\.decimals must be 6"):
        parse(text.replace("decimals = 6", "decimals = 18"), musd=TOKEN)


def test_a_session_larger_than_a_payout_may_be_is_refused_at_the_start() -> None:
    assert fit_session_max(POLICY, 10_000_00) == []
    assert len(fit_session_max(POLICY, 10_000_01)) == 1
    assert len(fit_session_max(POLICY, 20_000_01)) == 2


amounts = st.integers(0, 60_000).map(lambda whole: whole * MUSD) | st.integers(0, 2**200)
maybe = st.none() | amounts


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    floor = draw(amounts)
    target = draw(st.none() | amounts.map(lambda more: floor + more))
    ceiling = None if target is None else draw(st.none() | amounts.map(lambda more: target + more + 1))
    limits = SweepLimits(draw(amounts), draw(maybe), draw(maybe), draw(maybe))
    asset = AssetPolicy("MUSD", TOKEN, 18, floor, target, ceiling, limits)
    holds = draw(st.lists(amounts, max_size=5))
    return Snapshot(asset, draw(amounts), holds, draw(amounts), draw(amounts), None, draw(st.booleans()))


@given(snapshots(), maybe)
def test_no_plan_goes_below_the_floor_takes_what_is_promised_or_exceeds_a_limit(
    seen: Snapshot, order: int | None
) -> None:
    verdict = plan(seen, order)
    assert verdict == plan(replace(seen), order)
    if not isinstance(verdict, Movement):
        return
    limits = seen.asset.sweeps
    left = seen.on_chain - verdict.amount
    assert verdict.amount > 0
    assert left - sum(seen.reserved) - seen.processing >= seen.asset.floor
    assert limits.max_per_transaction is None or verdict.amount <= limits.max_per_transaction
    assert limits.max_per_day is None or seen.swept + verdict.amount <= limits.max_per_day
    assert limits.min is None or verdict.amount >= limits.min
    assert not seen.first or verdict.amount == limits.min or verdict.amount < (limits.min or 0)
    # The first one is small, but asked for by persons as the order it comes from would be.
    assert verdict.approval_needed or verdict.amount <= limits.approval_above
    assert seen.first or verdict.approval_needed == (verdict.amount > limits.approval_above)
    assert order is None or verdict.amount == order or seen.first
    # A plan is accepted again, as the last look before the signature asks for it.
    assert isinstance(plan(seen, verdict.amount), Movement)


def test_the_sweeper_acts_above_the_ceiling_alone() -> None:
    seen = Snapshot(MUSD_RULES, 20_500 * MUSD, [300 * MUSD], 200 * MUSD)
    assert not due(seen), "at the ceiling"
    assert due(replace(seen, on_chain=seen.on_chain + 1))
    assert not due(replace(seen, on_chain=seen.on_chain + 1, active="swp_1"))
    assert not due(replace(seen, asset=replace(MUSD_RULES, ceiling=None), on_chain=10**30))


def test_each_refusal_names_its_rule() -> None:
    seen = Snapshot(MUSD_RULES, 30_000 * MUSD, [1000 * MUSD], 500 * MUSD, 95_000 * MUSD)

    def said(order: int | None, **changes: object) -> str:
        verdict = plan(replace(seen, **changes), order)  # type: ignore[arg-type]
        return verdict.rule if isinstance(verdict, Refusal) else type(verdict).__name__

    assert said(29_000 * MUSD) == "available"
    assert said(24_000 * MUSD) == "assets.MUSD.floor"
    assert said(99 * MUSD) == "sweeps.min"
    free = replace(MUSD_RULES, floor=0, sweeps=SweepLimits(0, None, None, None))
    assert said(0, asset=free) == "sweeps.min"
    assert said(28_500 * MUSD, asset=free) == "Movement"
    assert said(28_500 * MUSD + 1, asset=free) == "available"
    assert said(20_001 * MUSD) == "sweeps.max_per_transaction"
    spent = plan(seen, 5001 * MUSD)
    assert isinstance(spent, Refusal)
    assert (spent.rule, spent.sentence) == ("sweeps.max_per_day", "5000.00 MUSD may still be swept in these 24 hours.")
    assert said(5000 * MUSD) == "Movement"
    assert said(None, active="swp_1") == "one sweep at a time"
    assert said(None, on_chain=15_000 * MUSD) == "Nothing"
    excess, first = plan(seen, None), plan(replace(seen, first=True), None)
    assert isinstance(excess, Movement)
    assert isinstance(first, Movement)
    assert (excess.amount, first.amount) == (5000 * MUSD, 100 * MUSD)
    assert isinstance(plan(replace(seen, swept=100_000 * MUSD), None), Nothing)


def test_a_plan_over_a_thousand_holds_takes_less_than_five_milliseconds() -> None:
    seen = Snapshot(MUSD_RULES, 10**30, [MUSD + one for one in range(1000)])
    took = []
    for _ in range(20):
        begun = time.perf_counter()
        assert isinstance(plan(seen, None), Movement)
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.005


def changed(**musd: Any) -> Terms:
    return replace(TERMS, policy=replace(POLICY, assets={**POLICY.assets, "MUSD": replace(MUSD_RULES, **musd)}))


def test_only_what_takes_away_is_a_tightening() -> None:
    assert compare(TERMS, load(dump(TERMS))) == Unchanged()
    assert compare(TERMS, changed(floor=6000 * MUSD)) == Tightening()
    assert compare(TERMS, changed(floor=1)) == Loosening(("assets.MUSD.floor",))
    assert compare(TERMS, changed(floor=6000 * MUSD, ceiling=None)) == Loosening(("assets.MUSD.ceiling",))
    assert compare(TERMS, replace(TERMS, cold=None)) == Tightening()
    assert compare(TERMS, replace(TERMS, cold=replace(PIN, owners=(SAFE,)))) == Loosening(("COLD_SAFE",))
    assert compare(replace(TERMS, cold=None), TERMS) == Loosening(("COLD_SAFE",))
    one, other = replace(PIN, owners=(BUYER, SAFE)), replace(PIN, owners=(SAFE, BUYER))
    assert compare(replace(TERMS, cold=one), replace(TERMS, cold=other)) == Tightening(), (
        "the order of owners is nothing"
    )
    assert compare(TERMS, replace(TERMS, token=SAFE)) == Loosening(("MUSD_TOKEN_ADDRESS",))
    more = replace(POLICY, payouts=replace(POLICY.payouts, max_per_day=1 << 200), max_fee=POLICY.max_fee + 1)
    assert compare(TERMS, replace(TERMS, policy=more)) == Loosening(("payouts.max_per_day", "fees.max_fee_gwei"))
    longer = replace(POLICY, approval_expires_hours=POLICY.approval_expires_hours + 1, every_minutes=15)
    often = Loosening(("sweeps.approval_expires_hours", "sweeps.every_minutes"))
    assert compare(TERMS, replace(TERMS, policy=longer)) == often


@given(snapshots(), snapshots())
def test_what_differs_is_a_loosening_one_way_at_least(one: Snapshot, other: Snapshot) -> None:
    first, second = changed(floor=one.asset.floor, target=one.asset.target), changed(floor=other.asset.floor, target=other.asset.target)  # fmt: skip
    there, back = compare(first, second), compare(second, first)
    assert isinstance(there, Unchanged) == (first == second) == isinstance(back, Unchanged)
    if first != second:
        assert isinstance(there, Loosening) or isinstance(back, Loosening)
