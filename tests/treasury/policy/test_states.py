"""Whether a version of the policy is stricter or looser than another."""

from dataclasses import replace
from typing import Any

from hypothesis import given

from tests.support.hot_wallet import BUYER, MUSD, SAFE
from tests.support.policy_terms import PIN, POLICY, TERMS, snapshots, with_musd
from treasury.policy.model import UNLIMITED, ContractLimits
from treasury.policy.planner import Snapshot
from treasury.policy.serialization import dump, load
from treasury.policy.states import Loosening, Terms, Tightening, Unchanged, compare


def test_only_what_takes_away_is_a_tightening() -> None:
    assert compare(TERMS, load(dump(TERMS))) == Unchanged()
    assert compare(TERMS, with_musd(floor=6000 * MUSD)) == Tightening()
    assert compare(TERMS, with_musd(floor=1)) == Loosening(("assets.MUSD.floor",))
    assert compare(TERMS, with_musd(floor=6000 * MUSD, ceiling=None)) == Loosening(("assets.MUSD.ceiling",))
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


def test_more_payouts_in_a_batch_and_a_higher_allowance_are_loosenings() -> None:
    def terms(musd: Terms = TERMS, **limits: Any) -> Terms:
        return replace(musd, policy=replace(musd.policy, contract=ContractLimits(**limits)))

    assert compare(TERMS, terms(max_batch=101)) == Loosening(("payouts.max_batch",))
    assert compare(TERMS, terms(max_batch=99)) == Tightening()
    unlimited, limited = terms(max_allowance=UNLIMITED), terms(max_allowance=500 * MUSD)
    assert compare(TERMS, unlimited) == compare(limited, unlimited) == Loosening(("payouts.max_allowance",))
    assert compare(limited, TERMS) == Loosening(("payouts.max_allowance",)), "without the limit it is the ceiling"
    assert compare(TERMS, limited) == compare(unlimited, TERMS) == compare(unlimited, limited) == Tightening()
    higher = with_musd(ceiling=30_000 * MUSD)
    assert compare(TERMS, higher) == Loosening(("assets.MUSD.ceiling",)), "the allowance only follows"
    assert compare(TERMS, terms(higher, max_allowance=20_000 * MUSD)) == Loosening(("assets.MUSD.ceiling",))
    assert compare(TERMS, terms(higher, max_allowance=20_001 * MUSD)) == Loosening(
        ("payouts.max_allowance", "assets.MUSD.ceiling")
    )


@given(snapshots(), snapshots())
def test_every_difference_is_a_loosening_in_at_least_one_direction(one: Snapshot, other: Snapshot) -> None:
    first, second = with_musd(floor=one.asset.floor, target=one.asset.target), with_musd(floor=other.asset.floor, target=other.asset.target)  # fmt: skip
    there, back = compare(first, second), compare(second, first)
    assert isinstance(there, Unchanged) == (first == second) == isinstance(back, Unchanged)
    if first != second:
        assert isinstance(there, Loosening) or isinstance(back, Loosening)
