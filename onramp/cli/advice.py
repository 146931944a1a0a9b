"""What is wrong with a row of the treasury, and the next command to type. Pure: shapes of the HTTP answers in, words out."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

OVER: Final = frozenset({"final", "rejected", "cancelled", "reverted"})
"""Nothing more happens by itself in these."""
_REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "insufficient": ("too little in the hot wallet", "onramp treasury balances"),
    "fee_ceiling": (
        "the chain asks a fee above fees.max_fee_gwei; it goes on when that falls",
        "onramp treasury policy",
    ),
    "payment_mismatch": (
        "Stripe contradicts it: it is held alone, and goes on when Stripe agrees",
        "onramp sessions show {session}",
    ),
    "recipient_refused": ("this recipient cannot be paid", "onramp treasury reject {id}"),
    "reference_spent": ("a transfer with its reference exists already", "onramp sessions show {session}"),
    "screening": ("the recipient is listed", "onramp treasury reject {id}"),
    "payouts_paused": ("payouts are paused", "onramp treasury resume"),
    "sweeps_paused": ("sweeps are paused", "onramp treasury resume"),
    "panic": ("the hot wallet is being emptied", "onramp treasury sweeps"),
    "not_proved_dead": ("an earlier attempt may still be mined", "onramp treasury payouts {id} --watch"),
    "cold_wallet_unverified": ("the cold wallet does not prove itself", "onramp doctor"),
    "not_estimated": ("no node would carry it out: does the token refuse?", "onramp treasury reject {id}"),
    "gas_last": ("it pays for the assets still to go: approve or reject those first", "onramp treasury sweeps"),
    "policy": ("the policy or the balance changed", "onramp treasury plan"),
    "token_changed": ("it is owed in another token than MUSD_TOKEN_ADDRESS", "onramp doctor"),
    "signing_stopped": ("coins or transactions that no row explains: nothing is signed", "onramp treasury reconcile"),
    "signer_unavailable": ("the signer gives no signature; it is asked again", "onramp doctor"),
    "proof_unavailable": ("Stripe does not say whether it is owed; it is asked again", "onramp doctor"),
    "no_leader": ("no process runs the worker `treasury` for its wallet", "onramp doctor"),
    "waiting_for_second_node": ("too few nodes answer or agree", "onramp chain status"),
    "chain_paused": ("the chain makes no blocks", "onramp chain status"),
    "forged": ("the row is not what was approved: look at the trail", "onramp audit verify"),
}
_QUEUED: Final[Mapping[str, tuple[str, str]]] = {
    **_REASONS,
    "screening": ("the oracle does not say whether the recipient is listed; it is asked again", "onramp doctor"),
}
"""Why a payout waits for its turn longer than it should."""
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "awaiting_approval": ("waits for another person", "onramp treasury approve {id}"),
    "planned": ("its turn comes", "onramp treasury {room} {id} --watch"),
    "approved": ("its turn comes", "onramp treasury {room} {id} --watch"),
    "signed": ("on its way", "onramp treasury {room} {id} --watch"),
    "broadcast": ("on its way", "onramp treasury {room} {id} --watch"),
    "mined": ("being proved", "onramp treasury {room} {id} --watch"),
}
_UNPAID: Final = "the buyer is unpaid"


def of_row(row: Mapping[str, Any]) -> tuple[str, str]:
    """What is to be said of a payout or sweep, and the command that goes on with it; empty where it is well."""
    status, payout = row["status"], row["id"].startswith("pay_")
    names = {"id": row["id"], "session": row.get("sessionId", ""), "room": "payouts" if payout else "sweeps"}
    reason = row.get("reason") or ""
    if status == "held":
        said, command = _REASONS.get(reason, (reason, "onramp doctor"))
    elif payout and status in {"planned", "approved"} and reason in _QUEUED:
        said, command = _QUEUED[reason]
    elif payout and status in {"reverted", "rejected"}:
        waits = f"{_UNPAID}; {row['retryBy']} asked for another attempt" if row.get("retryBy") else _UNPAID
        said, command = waits, "onramp treasury retry {id}"
    elif status == "reverted":
        said, command = "its transaction failed; nothing moved", "onramp treasury plan"
    else:
        said, command = _STATES.get(status, ("", ""))
    return said, command.format(**names)


def of_balance(row: Mapping[str, Any]) -> tuple[str, str]:
    """The same of one asset of the hot wallet."""
    asset, available = row["asset"], Decimal(row["available"])
    if row["blockNumber"] is None:
        return "not read yet: does the worker `treasury` run?", "onramp doctor"
    if row["floor"] is not None and available < Decimal(row["floor"]):
        return "below its floor", f"onramp treasury refill --asset {asset} --amount {_up_to(row)}"
    if row["ceiling"] is not None and available > Decimal(row["ceiling"]):
        return "above its ceiling", f"onramp treasury sweep --asset {asset} --amount excess"
    return "", ""


def _up_to(row: Mapping[str, Any]) -> str:
    wanted = Decimal(row["target"] or row["floor"]) - Decimal(row["available"])
    return f"{wanted:f}"


def of_accounts(row: Mapping[str, Any]) -> tuple[str, str]:
    """The same of one asset's accounts in the ledger."""
    if Decimal(row["suspense"]):
        return f"{row['suspense']} {row['asset']} is gone and no row says why", "onramp treasury reconcile"
    return "", ""


def of_earlier(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The same of what wallets still have that were paid from before."""
    said = []
    for row in rows:
        wallet, asset = row["wallet"], row["asset"]
        if Decimal(row["receivable"]):
            text = f"{row['receivable']} {asset} of purchases that {wallet} paid was not seen to arrive"
            said.append((text, "onramp treasury settle-usdc"))
        # What is left of the gas token pays for no transaction any more; the table shows it.
        elif asset != "BTC" and (left := sum(Decimal(row[name]) for name in ("available", "held", "inFlight"))):
            text = f"{wallet} was left with {left:f} {asset}; with its key and HOT_WALLET_ADDRESS set to it"
            said.append((text, "onramp treasury panic"))
        if Decimal(row["suspense"]):
            said.append(
                (f"{row['suspense']} {asset} of {wallet} is gone and no row says why", "onramp treasury ledger")
            )
    return said


def of_reconciliation(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same of each thing that ledger and chain do not agree on."""
    gone = [
        (f"{row['suspense']} {row['asset']} is gone and no row says why", f"onramp treasury answer {row['asset']}")
        for row in found["data"]
        if Decimal(row["suspense"]) > 0
    ]
    odd = [
        (f"nonce {row['nonce']} was used by another hand", f"onramp treasury answer {row['id']}")
        for row in found["unexplained"]
    ]
    contradicted = [
        (
            f"{row['amount']} USDC settled with {row['txHash']}: {row['contradiction']}",
            f"onramp treasury reverse-usdc {row['id']}",
        )
        for row in found["settlements"]
        if row["contradiction"]
    ]
    return gone + odd + contradicted
