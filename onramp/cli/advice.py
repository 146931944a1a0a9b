"""The problem of a row of the treasury, and the next command to type. Pure functions of the API's responses.

Each returns pairs of a problem in words and a command; both are empty if there is nothing to do.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

ENDED: Final = frozenset({"final", "rejected", "cancelled", "reverted"})
"""The statuses in which nothing more happens without a command."""
_REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "insufficient": ("too little in the hot wallet, or approved for PayOnce", "onramp treasury balances"),
    "fee_ceiling": (
        "the chain's fee is above fees.max_fee_gwei; it continues when the fee falls",
        "onramp treasury policy",
    ),
    "payment_mismatch": (
        "Stripe contradicts it: only this payout is held, and it continues when Stripe agrees",
        "onramp sessions show {session}",
    ),
    "recipient_refused": ("this recipient cannot be paid", "onramp treasury reject {id}"),
    "reference_spent": ("a transfer with its reference exists already", "onramp sessions show {session}"),
    "screening": ("the recipient is on the sanctions list", "onramp treasury reject {id}"),
    "payouts_paused": ("payouts are paused", "onramp treasury resume"),
    "sweeps_paused": ("sweeps are paused", "onramp treasury resume"),
    "panic": ("the hot wallet is being emptied", "onramp treasury sweeps"),
    "not_proved_dead": ("an earlier attempt may still be mined", "onramp treasury payouts {id} --watch"),
    "cold_wallet_unverified": ("the cold wallet is not verified", "onramp doctor"),
    "not_estimated": ("every node refuses to estimate it: does the token refuse it?", "onramp treasury reject {id}"),
    "gas_last": ("it pays for the other assets' transfers: approve or reject those first", "onramp treasury sweeps"),
    "policy": ("the policy or the balance changed", "onramp treasury plan"),
    "token_changed": ("it is owed in another token than MUSD_TOKEN_ADDRESS", "onramp doctor"),
    "signing_stopped": ("unexplained coins or transactions: nothing is signed", "onramp treasury reconcile"),
    "signer_unavailable": ("the signer returns no signature; this is retried", "onramp doctor"),
    "proof_unavailable": ("Stripe does not confirm that it is owed; this is retried", "onramp doctor"),
    "no_leader": ("no process runs the worker `treasury` for its wallet", "onramp doctor"),
    "waiting_for_second_node": ("too few nodes answer or agree", "onramp chain status"),
    "chain_paused": ("the chain makes no blocks", "onramp chain status"),
    "forged": ("the row differs from what was approved: check the audit log", "onramp audit verify"),
}
_QUEUE_REASONS: Final[Mapping[str, tuple[str, str]]] = {
    **_REASONS,
    "screening": ("the oracle does not say whether the recipient is sanctioned; this is retried", "onramp doctor"),
}
"""Why a payout waits in the queue longer than it should, by reason: a problem in words, and a command."""
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "awaiting_approval": ("waits for another person", "onramp treasury approve {id}"),
    "planned": ("its turn comes", "onramp treasury {collection} {id} --watch"),
    "approved": ("its turn comes", "onramp treasury {collection} {id} --watch"),
    "signed": ("on its way", "onramp treasury {collection} {id} --watch"),
    "broadcast": ("on its way", "onramp treasury {collection} {id} --watch"),
    "mined": ("being proved", "onramp treasury {collection} {id} --watch"),
}
_UNPAID: Final = "the buyer is unpaid"


def of_row(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the problem of a payout or sweep, and the command that continues with it; both empty if there is nothing to do."""
    status, is_payout = row["status"], row["id"].startswith("pay_")
    collection = "payouts" if is_payout else "sweeps"
    names = {"id": row["id"], "session": row.get("sessionId", ""), "collection": collection}
    reason = row.get("reason") or ""
    if status == "held":
        problem, command = _REASONS.get(reason, (reason, "onramp doctor"))
    elif is_payout and status in {"planned", "approved"} and reason in _QUEUE_REASONS:
        problem, command = _QUEUE_REASONS[reason]
    elif is_payout and status in {"reverted", "rejected"}:
        problem = f"{_UNPAID}; {row['retryBy']} asked for another attempt" if row.get("retryBy") else _UNPAID
        command = "onramp treasury retry {id}"
    elif status == "reverted":
        problem, command = "its transaction failed; nothing moved", "onramp treasury plan"
    else:
        problem, command = _STATES.get(status, ("", ""))
    return problem, command.format(**names)


def of_balance(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the problem of one asset's balance, and the command that solves it; both empty if there is nothing to do."""
    asset, available = row["asset"], Decimal(row["available"])
    if row["blockNumber"] is None:
        return "not read yet: does the worker `treasury` run?", "onramp doctor"
    if row["floor"] is not None and available < Decimal(row["floor"]):
        return "below its floor", f"onramp treasury refill --asset {asset} --amount {_shortfall(row)}"
    if row["ceiling"] is not None and available > Decimal(row["ceiling"]):
        return "above its ceiling", f"onramp treasury sweep --asset {asset} --amount excess"
    return "", ""


def _shortfall(row: Mapping[str, Any]) -> str:
    shortfall = Decimal(row["target"] or row["floor"]) - Decimal(row["available"])
    return f"{shortfall:f}"


def of_accounts(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the problem of one asset's accounts in the ledger, and the next command; both empty if there is nothing to do."""
    if Decimal(row["suspense"]):
        return f"{row['suspense']} {row['asset']} is missing and no row explains it", "onramp treasury reconcile"
    return "", ""


def of_earlier(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the problems of earlier hot wallets' accounts, each with the next command."""
    steps = []
    for row in rows:
        wallet, asset = row["wallet"], row["asset"]
        if Decimal(row["receivable"]):
            problem = f"{row['receivable']} {asset} of purchases that {wallet} paid has not been seen to arrive"
            steps.append((problem, "onramp treasury settle-usdc"))
        # A remaining balance of the gas token pays for no transaction any more; only the table shows it.
        elif asset != "BTC" and (balance := sum(Decimal(row[name]) for name in ("available", "held", "inFlight"))):
            problem = f"{wallet} still holds {balance:f} {asset}; with its key and HOT_WALLET_ADDRESS set to it"
            steps.append((problem, "onramp treasury panic"))
        if Decimal(row["suspense"]):
            steps.append(
                (f"{row['suspense']} {asset} of {wallet} is missing and no row explains it", "onramp treasury ledger")
            )
    return steps


def of_reconciliation(reconciliation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each difference between ledger and chain, with the next command."""
    missing = [
        (
            f"{row['suspense']} {row['asset']} is missing and no row explains it",
            f"onramp treasury answer {row['asset']}",
        )
        for row in reconciliation["data"]
        if Decimal(row["suspense"]) > 0
    ]
    unmatched = [
        (f"nonce {row['nonce']} was used outside this service", f"onramp treasury answer {row['id']}")
        for row in reconciliation["unexplained"]
    ]
    contradicted = [
        (
            f"{row['amount']} USDC settled with {row['txHash']}: {row['contradiction']}",
            f"onramp treasury reverse-usdc {row['id']}",
        )
        for row in reconciliation["settlements"]
        if row["contradiction"]
    ]
    return missing + unmatched + contradicted
