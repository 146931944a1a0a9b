"""The policy file: what it means, and every mistake in it with its line."""

from dataclasses import replace

import pytest

from tests.support.hot_wallet import BUYER, MUSD, TOKEN
from tests.support.policy_terms import MUSD_RULES, POLICY, TERMS
from treasury.core.assets import NATIVE_AS_TOKEN
from treasury.policy.model import UNLIMITED
from treasury.policy.parser import DEVELOPMENT, PolicyError, fit_session_max, parse
from treasury.policy.serialization import digest, dump, load


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


def with_payouts(lines: str) -> str:
    """Return the development policy with more lines in its table of payouts."""
    return DEVELOPMENT.replace("[payouts]\n", f"[payouts]\n{lines}\n")


def test_limits_on_payouts_through_the_contract_have_defaults() -> None:
    assert (POLICY.contract.max_batch, POLICY.contract.max_allowance) == (100, None)
    assert POLICY.max_allowance == 20_000 * MUSD, "the ceiling of MUSD"
    named = parse(with_payouts('max_batch = 16\nmax_allowance = "500.5"'), musd=TOKEN)
    assert (named.contract.max_batch, named.max_allowance) == (16, 500 * MUSD + MUSD // 2)
    unlimited = parse(with_payouts('max_allowance = "unlimited"'), musd=TOKEN)
    assert unlimited.max_allowance == UNLIMITED == 2**256 - 1
    without_ceiling = DEVELOPMENT.replace('ceiling = "20000"\n', "")
    assert parse(without_ceiling, musd=TOKEN).max_allowance == 0
    for policy in (named, unlimited):
        terms = replace(TERMS, policy=policy)
        assert load(dump(terms)) == terms
        assert digest(terms) != digest(TERMS)


def test_terms_without_limits_on_the_contract_keep_the_digest_that_they_had_before_there_were_any() -> None:
    assert "contract" not in dump(TERMS)
    assert digest(TERMS) == "0xdfbece8df1b386037d1ec630f92a662900b840726ba610f795603ccaa78618df"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("max_batch = 0", "max_batch must be a whole number from 1 to 200"),
        ("max_batch = 201", "max_batch must be a whole number from 1 to 200"),
        ('max_batch = "100"', "max_batch must be a whole number from 1 to 200"),
        ("max_batch = true", "max_batch must be a whole number from 1 to 200"),
        ("max_allowance = 500", "max_allowance must be text"),
        ('max_allowance = "-5"', "max_allowance must be a plain decimal number"),
        ('max_allowance = "Unlimited"', "max_allowance must be a plain decimal number"),
        (f'max_allowance = "{2**256}"', 'max_allowance is more than a token can count: write "unlimited"'),
        ("max_allowences = 1", "max_allowences is unknown; known are approval_above, max_allowance, max_batch"),
    ],
)
def test_a_wrong_limit_on_the_contract_is_refused_with_its_line(line: str, says: str) -> None:
    with pytest.raises(PolicyError) as error:
        parse(with_payouts(line), musd=TOKEN)
    assert [problem.startswith(f"line 2: payouts.{says}") for problem in error.value.problems] == [True]


def test_usdc_has_the_decimals_that_the_ledger_counts_it_in() -> None:
    text = DEVELOPMENT + f'[assets.USDC]\naddress = "{BUYER}"\ndecimals = 6\nfloor = "0"\n'
    assert parse(text, musd=TOKEN).assets["USDC"].decimals == 6
    with pytest.raises(PolicyError, match=r"assets\.USDC\.decimals must be 6"):
        parse(text.replace("decimals = 6", "decimals = 18"), musd=TOKEN)


def test_a_session_larger_than_a_payout_may_be_is_refused_at_the_start() -> None:
    assert fit_session_max(POLICY, 10_000_00) == []
    assert len(fit_session_max(POLICY, 10_000_01)) == 1
    assert len(fit_session_max(POLICY, 20_000_01)) == 2
