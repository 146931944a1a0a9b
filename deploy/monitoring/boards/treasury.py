"""The dashboard of the treasury."""

from typing import Final

from deploy.monitoring.panels import Board, Panel, quantiles

TREASURY: Final = Board(
    "treasury",
    "Onramp: treasury",
    "Is there enough to pay, and is every coin explained?",
    (
        Panel(
            "Leader",
            "short",
            "Which process signs? Exactly one must have 1.",
            (("max by (instance) (treasury_leader)", "{{instance}}"),),
            "states",
        ),
        Panel(
            "Signing stopped",
            "short",
            "Does an alarm stop all signing, and are payments of a restored database being attributed?",
            (
                ("max(treasury_signing_stopped)", "stopped"),
                ("max(treasury_rebuilding)", "attributing"),
            ),
            "states",
        ),
        Panel(
            "Pauses",
            "short",
            "What has a person stopped?",
            (("max by (scope) (treasury_paused)", "{{scope}}"),),
            "states",
        ),
        Panel(
            "Hot wallet: MUSD",
            "short",
            "How much is available, and what do floor, target and ceiling of the policy ask for?",
            (('max by (kind) (treasury_balance{asset="MUSD"})', "{{kind}}"),),
        ),
        Panel(
            "Hot wallet: BTC for gas",
            "short",
            "How much gas token is available, and what does the policy ask for?",
            (('max by (kind) (treasury_balance{asset="BTC"})', "{{kind}}"),),
        ),
        Panel(
            "Gas spent per day",
            "short",
            "What did transactions cost in 24 hours, in BTC?",
            (("sum(increase(treasury_gas_spent_total[1d]))", "BTC"),),
        ),
        Panel(
            "Open payouts",
            "short",
            "How many payouts are on their way, held, or waiting for a person?",
            (('max by (status) (treasury_payouts{status!~"final|cancelled"})', "{{status}}"),),
        ),
        Panel(
            "Oldest waiting payout",
            "s",
            "For how long has the oldest payout been held, or waited for an approval?",
            (("max by (status) (treasury_payout_oldest_seconds)", "{{status}}"),),
        ),
        Panel(
            "Sweeps",
            "short",
            "How many sweeps are in each status?",
            (('max by (status) (treasury_sweeps{status!="final"})', "{{status}}"),),
        ),
        Panel(
            "Transactions in flight",
            "short",
            "How many transactions are signed and not final?",
            (("max(treasury_transactions_in_flight)", "in flight"),),
        ),
        Panel(
            "Nonce",
            "short",
            "Which transaction count of the hot wallet do the nodes agree on?",
            (("max(treasury_nonce)", "nonce"),),
        ),
        Panel(
            "Ledger difference",
            "short",
            "Which coins left the wallet without a row? Anything but 0 raises an alarm.",
            (("max by (asset) (treasury_ledger_difference)", "{{asset}}"),),
        ),
        Panel(
            "USDC receivable",
            "short",
            "How much USDC has Stripe not yet been seen to deliver?",
            (
                ("max(treasury_receivable_usdc)", "receivable"),
                ("max(treasury_usdc_settled_unverified)", "settled, not seen on its chain"),
            ),
        ),
        Panel(
            "Age of the receivable",
            "s",
            "For how long has the oldest part of it been due?",
            (("max(treasury_receivable_age_seconds)", "oldest"),),
        ),
        Panel(
            "Settlements of USDC",
            "short",
            "In which status are settlements, and how many does the chain contradict?",
            (
                ("max by (status) (treasury_usdc_settlements)", "{{status}}"),
                ("max(treasury_usdc_contradicted)", "contradicted"),
            ),
        ),
        Panel(
            "Signatures",
            "short",
            "What came of requested signatures and broadcasts in an hour?",
            (
                ("sum by (outcome) (increase(treasury_signatures_total[1h]))", "signature {{outcome}}"),
                ("sum by (outcome) (increase(treasury_broadcasts_total[1h]))", "broadcast {{outcome}}"),
            ),
        ),
        Panel("Time of a signature", "s", "How fast is the key service?", quantiles("treasury_signer_seconds")),
        Panel(
            "Alarms",
            "short",
            "Which alarms last?",
            (
                ("max by (alarm) (onramp_alarm_active) > 0", "{{alarm}}"),
                ("sum by (kind) (increase(treasury_alarms_total[1h])) > 0", "began: {{kind}}"),
            ),
        ),
        Panel(
            "Cold wallet and audit trail",
            "short",
            "Is the cold wallet the pinned Safe (1), and was the audit trail changed (1)?",
            (
                ("min(treasury_cold_wallet_verified)", "cold wallet verified"),
                ("max(onramp_audit_chain_moved)", "audit trail changed"),
            ),
            "states",
        ),
    ),
)
