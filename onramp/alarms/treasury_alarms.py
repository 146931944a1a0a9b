"""The alarms of the treasury. `treasury/alarms.py` raises them by the part of the name that follows `treasury.`."""

from datetime import timedelta
from typing import Final

from kit.alarms.model import Definition, Ends, Severity
from treasury.core.reasons import Reason

_PAGE, _TICKET, _INFO = Severity.PAGE, Severity.TICKET, Severity.INFO
_WEEK: Final = timedelta(days=7)
_DOCTOR: Final = "onramp doctor"


def _condition(
    kind: str, severity: Severity, sentence: str, *, command: str = "", action: str = "", anchor: str = "alarms"
) -> Definition:
    return Definition(f"treasury.{kind}", severity, Ends.CONDITION, sentence, command, action, anchor)


def _event(
    kind: str, severity: Severity, sentence: str, *, command: str = "", action: str = "", anchor: str = "alarms"
) -> Definition:
    return Definition(f"treasury.{kind}", severity, Ends.EVENT, sentence, command, action, anchor, _WEEK)


_WALLET: Final = (
    _condition(
        "foreign_transaction", _PAGE,
        "A transaction of the hot wallet is proven not to come from this service: Stripe has no purchase for it, or one with another "
        "amount or recipient, or it is not a payout. Nothing is signed any more.",
        command="onramp treasury pause", anchor="a-foreign-transaction",
    ),
    _condition(
        "unidentified_transaction", _PAGE,
        "The origin of a transaction of the hot wallet is still unknown after a minute, because Stripe or the nodes have not answered. "
        "After a restore it is probably a payout of your own. Nothing is signed meanwhile.",
        action="Do not start a panic.", command=_DOCTOR, anchor="an-unidentified-transaction",
    ),
    _condition(
        "unknown_sweep", _PAGE,
        "The hot wallet sent coins to COLD_SAFE_ADDRESS by a sweep that the database does not contain. Nothing is signed. This is not a theft.",
        command="onramp treasury reconcile", anchor="an-unknown-sweep",
    ),
    _condition(
        "unknown_nonces", _TICKET,
        "The chain counts transactions of the hot wallet that have not been found yet. Nothing is signed.",
        action="They are searched for half a minute. Then one of the three alarms above says more.", command=_DOCTOR,
    ),
    _condition(
        "nonce_taken", _PAGE,
        "Another transaction used the nonce of a signed one. Nothing is signed.",
        action="Wait half a minute: then one of the three alarms above says more.", command=_DOCTOR,
    ),
    _condition(
        "unknown_bytes", _TICKET,
        "A node counts more transactions of the hot wallet than the database knows. Nothing is paid until nonces are spent by empty "
        "transfers, which takes some blocks and happens by itself.",
        action="If the database was restored or failed over, follow the section. If not, the node that the facts name is wrong: remove it "
        "from the settings if it goes on.",
        command="onramp chain status", anchor="restore-from-a-backup",
    ),
    _event(
        "lost_writes", _PAGE,
        "The database went back under a running process: it lost a transaction that was signed. Nonces are spent by themselves, and "
        "nothing is paid meanwhile.",
        action="A replica was promoted that lacked the last writes. Order again what was paused since, then follow the section.",
        command="onramp treasury pause", anchor="restore-from-a-backup",
    ),
    _condition(
        "payout_allowance", _PAGE,
        "PAYOUT_CONTRACT is set, and PayOnce may move too little of the hot wallet's MUSD. Purchases are sold, and their payouts wait.",
        command="onramp contract approve", anchor="payonce-may-move-too-little",
    ),
    _condition(
        "restore_insufficient", _PAGE,
        "After a restore, nonces have to be spent, and the hot wallet has too little BTC for their gas. Nothing is paid meanwhile.",
        action="Send BTC to the hot wallet.", command="onramp treasury balances",
    ),
    _condition(
        "ledger_difference", _PAGE,
        "A token left the hot wallet and no row explains it. Nothing is signed.",
        command="onramp treasury reconcile", anchor="a-ledger-difference",
    ),
    _event(
        "transfer_mismatch", _PAGE,
        "The chain shows another transfer than the one that was signed.",
        action="Then find out who changed the row.", command="onramp treasury pause",
    ),
    _event(
        "row_forged", _PAGE,
        "A row is not what was signed before: somebody wrote into the database.",
        action="Then find out who changed the row.", command="onramp treasury pause",
    ),
)  # fmt: skip

_PAYOUT_SHOW: Final = "onramp treasury payouts {subject}"
_APPROVE: Final = "onramp treasury approve {subject}"
_RETRY: Final = "onramp treasury retry {subject}"
_HELD_PAYOUTS: Final[tuple[tuple[Reason, Severity, str, str, str], ...]] = (
    (Reason.INSUFFICIENT, _PAGE, "the hot wallet, or what PayOnce may move of it, is too small", "onramp treasury balances", "a-payout-waits-in-the-queue"),
    (Reason.FEE_CEILING, _TICKET, "the chain asks for a higher fee than `fees.max_fee_gwei` allows", "onramp treasury policy", "a-payout-is-stuck"),
    (Reason.RECIPIENT_REFUSED, _TICKET, "its recipient cannot be paid", "onramp treasury reject {subject}", "a-payout-is-stuck"),
    (Reason.REFERENCE_SPENT, _PAGE, "a transfer with its reference exists already", _PAYOUT_SHOW, "a-payout-is-stuck"),
    (Reason.NOT_PROVED_DEAD, _TICKET, "an earlier attempt may still be mined", _PAYOUT_SHOW, "a-payout-is-stuck"),
    (Reason.SCREENING, _PAGE, "its recipient is on the sanctions list", _PAYOUT_SHOW, "a-payout-is-stuck"),
    (Reason.TOKEN_CHANGED, _TICKET, "it is owed in another token than MUSD_TOKEN_ADDRESS names", _PAYOUT_SHOW, "a-payout-waits-in-the-queue"),
)  # fmt: skip
_PAYOUTS: Final = (
    _condition(
        "payout_payment_mismatch", _PAGE,
        "Stripe contradicts a payout's row. Only that payout is held; all others are paid.",
        command=_PAYOUT_SHOW, anchor="stripe-contradicts-a-payout",
    ),
    _condition(
        "payout_awaiting_approval", _PAGE,
        "A payout is above a limit of the policy and waits for a person.",
        action="Reject it if it is not owed.", command=_APPROVE,
    ),
    _condition(
        "payout_reverted", _PAGE,
        "A payout failed on the chain: a buyer has not been paid.",
        action="Two approvers have to ask for it.", command=_RETRY, anchor="a-payout-is-stuck",
    ),
    _condition(
        "payout_displaced", _PAGE,
        "Another transaction took the nonce of a payout: a buyer has not been paid.",
        action="Two approvers have to ask for it.", command=_RETRY, anchor="a-payout-is-stuck",
    ),
    *(
        _condition(f"payout_{reason}", severity, f"A payout is held: {why}.", command=command, anchor=anchor)
        for reason, severity, why, command, anchor in _HELD_PAYOUTS
    ),
)  # fmt: skip

_HELD_SWEEPS: Final[tuple[tuple[Reason, Severity, str], ...]] = (
    (Reason.COLD_WALLET_UNVERIFIED, _PAGE, "the Safe does not prove itself, or is not the one that was approved"),
    (Reason.POLICY, _TICKET, "the policy or the balance changed since it was planned"),
    (Reason.FEE_CEILING, _TICKET, "the chain asks for a higher fee than `fees.max_fee_gwei` allows"),
    (Reason.INSUFFICIENT, _TICKET, "the hot wallet holds too little for it and its gas"),
    (Reason.NOT_ESTIMATED, _TICKET, "no node returns the token's balance or the gas of the transfer"),
)
_SWEEP_SHOW: Final = "onramp treasury sweeps {subject}"
_SWEEPS: Final = (
    _condition(
        "sweep_forged", _PAGE,
        "A sweep is not what was approved: somebody wrote into the database.",
        action="Then find out who changed the row.", command="onramp treasury pause",
    ),
    _event(
        "sweep_reverted", _TICKET, "A sweep failed on the chain. It moved nothing but its gas.", command=_SWEEP_SHOW
    ),
    _event("sweep_displaced", _TICKET, "Another transaction took the nonce of a sweep. It moved nothing.", command=_SWEEP_SHOW),
    *(
        _condition(f"sweep_{reason}", severity, f"A sweep is held: {why}.", command=_SWEEP_SHOW)
        for reason, severity, why in _HELD_SWEEPS
    ),
    _condition(
        "cold_wallet_unverified", _PAGE,
        "The Safe is not the pinned one, or cannot be read.",
        command=_DOCTOR, anchor="the-cold-wallet-changed",
    ),
)  # fmt: skip

_CHAIN: Final = (
    _event(
        "nothing_reverted", _TICKET,
        "A deployment or an approval of PayOnce failed on the chain, or an empty transfer did. Nothing moved but its gas.",
        action="The line `payout_contract` says which command to repeat.", command=_DOCTOR,
    ),
    _condition(
        "fee_ceiling", _TICKET,
        "Signed transactions would need a higher fee than `fees.max_fee_gwei` allows.",
        action="Wait, or raise the limit.", command="onramp treasury policy",
    ),
    _condition(
        "signer_unavailable", _PAGE,
        "The key service returned no signature. Payouts wait.",
        action="The service retries by itself, after a minute at the latest.", command=_DOCTOR,
    ),
    _condition(
        "signer_refused", _PAGE,
        "The key service refused a signature. Payouts wait.",
        action="The service retries by itself, after a minute at the latest.", command=_DOCTOR,
    ),
    _condition(
        "usdc_settled_unverified", _TICKET,
        "USDC counts as arrived, or waits for a second person, and its own chain has not confirmed it "
        "(metric `treasury_usdc_settled_unverified`, in USDC).",
        command="onramp treasury settlements", anchor="usdc-arrived-or-did-not",
    ),
    _condition(
        "usdc_contradicted", _PAGE,
        "USDC was settled, and its chain contradicts that (metric `treasury_usdc_contradicted`).",
        command="onramp treasury reverse-usdc {subject}", anchor="usdc-arrived-or-did-not",
    ),
    _event(
        "reorg", _TICKET,
        "The chain removed or replaced the block of a payment, which Mezo's consensus should make impossible. The same bytes are sent again.",
        action="Inform your colleagues and Mezo.",
    ),
    _event(
        "block_changed", _TICKET,
        "The chain moved a payment to another block, which Mezo's consensus should make impossible.",
        action="Inform your colleagues and Mezo.",
    ),
    _event(
        "nonce_stranded", _INFO,
        "A nonce was allocated and never signed. A transfer of zero to the hot wallet itself uses it up.",
        action="Nothing.",
    ),
)  # fmt: skip

TREASURY: Final = (*_WALLET, *_PAYOUTS, *_SWEEPS, *_CHAIN)
"""The treasury's alarms."""
