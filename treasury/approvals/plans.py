"""The facts of a payout, a sweep and a policy version in the form in which a person signs them. Pure."""

from typing import Final

from kit.money import format_units
from kit.signed_plans.plan import PlanFacts
from treasury.core.assets import MUSD_DECIMALS
from treasury.payouts.model import Payout
from treasury.policy.version import Version
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import SweepKind

EVERYTHING: Final = "everything"
"""The amount of a panic, which takes the whole balance."""


def amount_text(amount: int, decimals: int, asset: str) -> str:
    """Return an amount for people with its thousands grouped, such as `1,200.00 MUSD`."""
    whole, _, places = format_units(amount, decimals).partition(".")
    return f"{int(whole):,}.{places} {asset}"


def payout_facts(payout: Payout, verb: str, *, chain_id: int, policy_version: str | None) -> PlanFacts:
    """Return the facts of a decision about a payout; `verb` is its sentence up to the amount, such as `Pay`."""
    amount = amount_text(payout.amount, MUSD_DECIMALS, payout.asset)
    return PlanFacts(
        sentence=f"{verb} {amount} to {payout.to} for the purchase {payout.session_id}",
        asset=payout.asset,
        amount=str(payout.amount),
        to=payout.to,
        chain_id=chain_id,
        wallet=payout.wallet,
        policy_version=policy_version,
        terms=payout.reference,
        proposed_by=payout.retry_person,
        state=f"{payout.status}:{payout.reason or ''}",
    )


def sweep_facts(sweep: Sweep, verb: str) -> PlanFacts:
    """Return the facts of a decision about a sweep; `verb` is its sentence up to the amount, such as `Move`."""
    is_panic = sweep.kind is SweepKind.PANIC
    amount = f"all {sweep.asset}" if is_panic else amount_text(sweep.amount, sweep.decimals, sweep.asset)
    return PlanFacts(
        sentence=f"{verb} {amount} from the hot wallet {sweep.wallet} to the cold wallet {sweep.to}",
        asset=sweep.asset,
        amount=EVERYTHING if is_panic else str(sweep.amount),
        to=sweep.to,
        chain_id=sweep.chain_id,
        wallet=sweep.wallet,
        policy_version=sweep.policy_version,
        safe_identity=sweep.safe_identity,
        terms=sweep.token,
        proposed_by=sweep.proposed_person,
        state=str(sweep.status),
    )


def policy_facts(version: Version, verb: str, active: str | None) -> PlanFacts:
    """Return the facts of a decision about a policy version; `active` is the number of the version that applies now."""
    loosens = f", which loosens {', '.join(version.loosens)}" if version.loosens else ""
    return PlanFacts(
        sentence=f"{verb} version {version.version} of the policy{loosens}",
        wallet=version.scope,
        policy_version=active,
        terms=version.digest,
        proposed_by=version.proposed_person,
        state=str(version.status),
    )
