"""The amount of a planned sweep, and the rule that refuses one."""

import time
from dataclasses import replace

from hypothesis import given

from tests.support.hot_wallet import MUSD
from tests.support.policy_terms import MUSD_RULES, optional_amounts, snapshots
from treasury.core.asset_policy import SweepLimits
from treasury.policy.planner import Nothing, PlannedSweep, Refusal, Snapshot, due, plan


@given(snapshots(), optional_amounts)
def test_no_plan_goes_below_the_floor_uses_reserved_coins_or_exceeds_a_limit(seen: Snapshot, order: int | None) -> None:
    verdict = plan(seen, order)
    assert verdict == plan(replace(seen), order)
    if not isinstance(verdict, PlannedSweep):
        return
    limits = seen.asset.sweeps
    remaining = seen.on_chain - verdict.amount
    assert verdict.amount > 0
    assert remaining - sum(seen.reserved) - seen.processing >= seen.asset.floor
    assert limits.max_per_transaction is None or verdict.amount <= limits.max_per_transaction
    assert limits.max_per_day is None or seen.swept + verdict.amount <= limits.max_per_day
    assert limits.min is None or verdict.amount >= limits.min
    assert not seen.first or verdict.amount == limits.min or verdict.amount < (limits.min or 0)
    # The first one is small, but asked for by persons as the order it comes from would be.
    assert verdict.approval_needed or verdict.amount <= limits.approval_above
    assert seen.first or verdict.approval_needed == (verdict.amount > limits.approval_above)
    assert order is None or verdict.amount == order or seen.first
    # A plan is accepted again, as in the last check before the signature.
    assert isinstance(plan(seen, verdict.amount), PlannedSweep)


def test_the_sweeper_acts_above_the_ceiling_alone() -> None:
    seen = Snapshot(MUSD_RULES, 20_500 * MUSD, [300 * MUSD], 200 * MUSD)
    assert not due(seen), "at the ceiling"
    assert due(replace(seen, on_chain=seen.on_chain + 1))
    assert not due(replace(seen, on_chain=seen.on_chain + 1, active="swp_1"))
    assert not due(replace(seen, asset=replace(MUSD_RULES, ceiling=None), on_chain=10**30))


def test_each_refusal_names_its_rule() -> None:
    seen = Snapshot(MUSD_RULES, 30_000 * MUSD, [1000 * MUSD], 500 * MUSD, 95_000 * MUSD)

    def refusal_of(order: int | None, **changes: object) -> str:
        verdict = plan(replace(seen, **changes), order)  # type: ignore[arg-type]
        return verdict.rule if isinstance(verdict, Refusal) else type(verdict).__name__

    assert refusal_of(29_000 * MUSD) == "available"
    assert refusal_of(24_000 * MUSD) == "assets.MUSD.floor"
    assert refusal_of(99 * MUSD) == "sweeps.min"
    free = replace(MUSD_RULES, floor=0, sweeps=SweepLimits(0, None, None, None))
    assert refusal_of(0, asset=free) == "sweeps.min"
    assert refusal_of(28_500 * MUSD, asset=free) == "PlannedSweep"
    assert refusal_of(28_500 * MUSD + 1, asset=free) == "available"
    assert refusal_of(20_001 * MUSD) == "sweeps.max_per_transaction"
    spent = plan(seen, 5001 * MUSD)
    assert isinstance(spent, Refusal)
    assert (spent.rule, spent.sentence) == ("sweeps.max_per_day", "5000.00 MUSD may still be swept in these 24 hours.")
    assert refusal_of(5000 * MUSD) == "PlannedSweep"
    assert refusal_of(None, active="swp_1") == "one sweep at a time"
    assert refusal_of(None, on_chain=15_000 * MUSD) == "Nothing"
    excess, first = plan(seen, None), plan(replace(seen, first=True), None)
    assert isinstance(excess, PlannedSweep)
    assert isinstance(first, PlannedSweep)
    assert (excess.amount, first.amount) == (5000 * MUSD, 100 * MUSD)
    assert isinstance(plan(replace(seen, swept=100_000 * MUSD), None), Nothing)


def test_a_plan_over_a_thousand_holds_takes_less_than_five_milliseconds() -> None:
    seen = Snapshot(MUSD_RULES, 10**30, [MUSD + one for one in range(1000)])
    took = []
    for _ in range(20):
        begun = time.perf_counter()
        assert isinstance(plan(seen, None), PlannedSweep)
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.005
