"""Policies of the tests: the terms of the development policy, changes of them, and snapshots for the planner."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.support.hot_wallet import BUYER, CHAIN_ID, HOT_WALLET, MUSD, SAFE, TOKEN
from treasury.cold.identity import ColdPin
from treasury.core.asset_policy import AssetPolicy, SweepLimits
from treasury.policy.parser import DEVELOPMENT, parse
from treasury.policy.planner import Snapshot
from treasury.policy.states import Terms

POLICY = parse(DEVELOPMENT, musd=TOKEN)
PIN = ColdPin(CHAIN_ID, SAFE, (BUYER,), 1)
TERMS = Terms(POLICY, TOKEN, PIN)
SCOPE = HOT_WALLET.key
MUSD_RULES = POLICY.assets["MUSD"]
amounts = st.integers(0, 60_000).map(lambda whole: whole * MUSD) | st.integers(0, 2**200)
optional_amounts = st.none() | amounts


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Draw a consistent snapshot of MUSD."""
    floor = draw(amounts)
    target = draw(st.none() | amounts.map(lambda more: floor + more))
    ceiling = None if target is None else draw(st.none() | amounts.map(lambda more: target + more + 1))
    limits = SweepLimits(draw(amounts), draw(optional_amounts), draw(optional_amounts), draw(optional_amounts))
    asset = AssetPolicy("MUSD", TOKEN, 18, floor, target, ceiling, limits)
    holds = draw(st.lists(amounts, max_size=5))
    return Snapshot(asset, draw(amounts), holds, draw(amounts), draw(amounts), None, draw(st.booleans()))


def with_musd(**musd: Any) -> Terms:
    """Return the terms with another policy for MUSD."""
    return replace(TERMS, policy=replace(POLICY, assets={**POLICY.assets, "MUSD": replace(MUSD_RULES, **musd)}))
