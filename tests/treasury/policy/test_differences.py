"""The differences of two policies in words, each with the effect that decides how many persons it takes."""

from dataclasses import replace

import pytest
from hypothesis import given

from tests.support.hot_wallet import BUYER, MUSD, SAFE
from tests.support.policy_terms import PIN, POLICY, TERMS, snapshots, with_musd
from treasury.policy.differences import Difference, differences
from treasury.policy.model import ContractLimits
from treasury.policy.planner import Snapshot
from treasury.policy.states import Loosening, Terms, compare


def effects(old: Terms, new: Terms) -> dict[str, str]:
    return {row.field: row.effect for row in differences(old, new)}


def test_a_rule_is_named_with_both_values_and_its_effect() -> None:
    old = POLICY.payouts.max_per_day // MUSD
    new = replace(POLICY, payouts=replace(POLICY.payouts, max_per_day=(old + 1) * MUSD))
    before, after = f"{old}.00 MUSD", f"{old + 1}.00 MUSD"
    sentence = (
        f"What payouts of a day may add up to without a person: {before} becomes {after}. This loosens the policy."
    )
    assert differences(TERMS, replace(TERMS, policy=new)) == [
        Difference("payouts.max_per_day", before, after, "loosens", sentence)
    ]


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (TERMS, {}),
        (with_musd(floor=6000 * MUSD), {"assets.MUSD.floor": "tightens"}),
        (with_musd(floor=1), {"assets.MUSD.floor": "loosens"}),
        (
            with_musd(floor=6000 * MUSD, ceiling=None),
            {"assets.MUSD.floor": "tightens", "assets.MUSD.ceiling": "loosens"},
        ),
        (replace(TERMS, cold=replace(PIN, owners=(SAFE,))), {"COLD_SAFE.owners": "loosens"}),
        (replace(TERMS, token=SAFE), {"MUSD_TOKEN_ADDRESS": "loosens"}),
        (
            replace(TERMS, policy=replace(POLICY, contract=ContractLimits(max_batch=1))),
            {"payouts.max_batch": "tightens"},
        ),
        (replace(TERMS, policy=replace(POLICY, max_fee=POLICY.max_fee - 1)), {"fees.max_fee_gwei": "tightens"}),
    ],
)
def test_each_difference_has_its_own_effect(new: Terms, expected: dict[str, str]) -> None:
    assert effects(TERMS, new) == expected


def test_the_order_of_owners_and_another_interval_of_sweeps_are_neither() -> None:
    one, other = replace(PIN, owners=(BUYER, SAFE)), replace(PIN, owners=(SAFE, BUYER))
    assert differences(replace(TERMS, cold=one), replace(TERMS, cold=other)) == []
    often, seldom = replace(POLICY, every_minutes=15), replace(POLICY, every_minutes=30)
    assert effects(replace(TERMS, policy=often), replace(TERMS, policy=seldom)) == {"sweeps.every_minutes": "changes"}


def test_a_new_asset_loosens_with_all_its_rules_and_a_new_cold_wallet_too() -> None:
    extra = replace(POLICY.assets["MUSD"], symbol="TEST")
    more = replace(TERMS, policy=replace(POLICY, assets={**POLICY.assets, "TEST": extra}))
    assert set(effects(TERMS, more).values()) == {"loosens"}
    assert set(effects(replace(TERMS, cold=None), TERMS).values()) == {"loosens"}
    assert set(effects(TERMS, replace(TERMS, cold=None)).values()) == {"tightens"}


@given(snapshots())
def test_a_difference_loosens_exactly_if_the_comparison_says_so(snapshot: Snapshot) -> None:
    asset = snapshot.asset
    new = with_musd(floor=asset.floor, target=asset.target, ceiling=asset.ceiling, sweeps=asset.sweeps)
    verdict = compare(TERMS, new)
    looser = set(verdict.rules) if isinstance(verdict, Loosening) else set()
    assert {row.field for row in differences(TERMS, new) if row.effect == "loosens"} == looser
