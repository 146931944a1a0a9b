"""The alert rules, as values; `deploy.monitoring.generate` writes them to `prometheus/rules/`.

To add an alert, add a `Rule` here and an example to `tests/support/rule_examples.py`. An alarm of the service needs no rule of its own: one
is made for each entry of `onramp/alarms/catalog.py`.
"""

from typing import Any, Final

from deploy.monitoring.objective_rules import PAGE, TICKET, Rule, burn_rates, recorded
from onramp.alarms.catalog import ALARMS
from onramp.ops.objectives import OBJECTIVES

MONEY: Final = (
    Rule("OnrampSigningStopped", "max(treasury_signing_stopped) == 1", "Nothing is signed: an alarm stops it.", "`onramp alarms list`", wait="1m"),
    Rule(
        "OnrampNobodyLeads", "(sum(treasury_leader) or vector(0)) == 0", "No process leads the hot wallet, so nobody is paid.",
        "Start `onramp work`.", wait="1m", anchor="what-ready-means",
    ),
    Rule(
        "OnrampTwoLeaders", "sum(treasury_leader) > 1", "Two processes believe that they lead the hot wallet. The lease lets only one of them sign.",
        "`onramp doctor`; restart one of them.", TICKET, "2m", "what-ready-means",
    ),
    Rule(
        "OnrampBuyersWait", "max(onramp_deliveries_overdue) > 0", "{{ $value }} buyers have paid and wait for longer than DELIVERY_OVERDUE_MINUTES.",
        "`onramp sessions list`, then `onramp sessions show ID`", wait="2m", anchor="a-purchase-is-overdue",
    ),
    Rule(
        "OnrampHotWalletBelowFloor",
        'max by (asset) (treasury_balance{kind="available"}) < on (asset) max by (asset) (treasury_balance{kind="floor"})',
        "The hot wallet has less {{ $labels.asset }} available than its floor.", "`onramp treasury balances` says how to refill it.",
        wait="5m", anchor="refill-the-hot-wallet",
    ),
    Rule(
        "OnrampHotWalletRunsOut",
        'predict_linear(treasury_balance{kind="available",asset="MUSD"}[6h], 4 * 3600) < 0',
        "At the pace of the last six hours, the hot wallet has no MUSD left in four hours.", "`onramp treasury balances` says how to refill it.",
        TICKET, "15m", "refill-the-hot-wallet",
    ),
    Rule(
        "OnrampColdWalletUnverified", "min(treasury_cold_wallet_verified) == 0", "The Safe is not the pinned one, or cannot be read.",
        "`onramp doctor`", wait="10m", anchor="the-cold-wallet-changed",
    ),
    Rule(
        "OnrampPayoutsHeld", 'max(treasury_payouts{status=~"held|awaiting_approval"}) > 0', "Payouts are held, or wait for a person.",
        "`onramp treasury payouts --status held`", TICKET, "15m", "a-payout-is-stuck",
    ),
    Rule(
        "OnrampPayoutsOld", "max(treasury_payout_oldest_seconds) > 3600", "A payout has been open for {{ $value | humanizeDuration }}.",
        "`onramp treasury payouts`", PAGE, "5m", "a-payout-is-stuck",
    ),
    Rule(
        "OnrampUnpaidBuyers", 'max(treasury_payouts{status=~"reverted|rejected"}) > 0', "A payout failed or was rejected, and its buyer has not been made whole.",
        "`onramp treasury retry ID`, or `onramp treasury settle ID`", TICKET, "1m", "a-payout-is-stuck",
    ),
    Rule(
        "OnrampReceivableOld", "max(treasury_receivable_age_seconds) > 2 * 86400", "Stripe has owed USDC for more than two days.",
        "`onramp treasury settlements`", TICKET, "30m", "usdc-arrived-or-did-not",
    ),
    Rule(
        "OnrampSignerFails", "sum(rate(treasury_signer_errors_total[5m])) > 0", "The key service refuses signatures or does not answer.",
        "`onramp doctor`", wait="5m",
    ),
    Rule(
        "OnrampAuditMoved", "max(onramp_audit_chain_moved) == 1", "The audit trail was changed behind the service's back.", "`onramp audit verify`",
        anchor="the-audit-trail-was-changed",
    ),
    Rule(
        "OnrampRebuilding", "max(treasury_rebuilding) > 0", "Transactions of the hot wallet are still being attributed, as after a restore. Nothing is signed.",
        "`onramp alarms list`", wait="1m", anchor="an-unidentified-transaction",
    ),
)  # fmt: skip

CHAIN: Final = (
    Rule(
        "OnrampTooFewNodes", "count(max by (node) (chain_node_up) == 1) < 2 or absent(chain_node_up)", "Fewer than two nodes can be used: money waits.",
        "`onramp chain status`", wait="1m", anchor="too-few-providers-answer",
    ),
    Rule(
        "OnrampNodeContradicts", "sum by (node) (increase(chain_node_dissents_total[15m])) > 0 or max by (node) (chain_node_set_aside) == 1",
        "The node {{ $labels.node }} contradicts the others, and its vote does not count.", "`onramp chain status`", TICKET,
        anchor="a-node-contradicts-the-others",
    ),
    Rule(
        "OnrampChainHalted", "max(chain_paused) == 1", "The chain produces no blocks or refuses transactions. Payouts wait and go on by themselves.",
        "`onramp chain status`", TICKET, "5m", "the-chain-halted",
    ),
    Rule(
        "OnrampChainHaltedLong", "max(chain_paused) == 1", "The chain has produced no blocks for half an hour.", "Ask Mezo; consider `onramp treasury pause --scope sales`.",
        wait="30m", anchor="the-chain-halted",
    ),
    Rule(
        "OnrampNodeLags", "max by (node) (chain_node_lag_blocks) > 3", "The node {{ $labels.node }} is {{ $value }} blocks behind.", "`onramp chain status`",
        TICKET, "5m", "a-node-misbehaves",
    ),
    Rule(
        "OnrampCreditsRunOut",
        "predict_linear(chain_node_credits_left[6h], 3 * 86400) < 0 and on (node) chain_node_credits_left < 0.3 * (chain_node_credits_left + chain_node_credits_used)",
        "The credits of {{ $labels.node }} run out within three days.", "`onramp chain status`; raise the plan, or lower the node's use.",
        TICKET, "30m", "change-the-list-of-nodes",
    ),
    Rule(
        "OnrampUnreadBlocks", "max(onramp_delivery_unread_blocks) > 0", "{{ $value }} blocks cannot be read for certain, so deliveries in them are not proved.",
        "`onramp chain status`", TICKET, "10m", "the-log-shows-deliveriesblocks_not_covered",
    ),
)  # fmt: skip

SERVICE: Final = (
    Rule("OnrampDown", 'up{job=~"onramp.*"} == 0', "{{ $labels.instance }} does not answer Prometheus.", "Start the process.", wait="2m", anchor="what-ready-means"),
    Rule("OnrampAbsent", 'absent(up{job=~"onramp.*"})', "Prometheus scrapes no process.", "Look at `scrape_configs` of Prometheus.", wait="5m", anchor="what-ready-means"),
    Rule(
        "OnrampStripeCircuitOpen", "max(onramp_stripe_circuit_open) == 1", "Stripe does not answer, so calls to it are refused at once. Sales are 503.",
        "Look at Stripe's status page. It goes on by itself.", wait="2m", anchor="stripe-is-down",
    ),
    Rule(
        "OnrampStripeLimits", "sum(increase(onramp_stripe_rate_limited_total[15m])) > 10", "Stripe has refused calls because there are too many.",
        "Ask Stripe for a higher limit.", TICKET, anchor="what-ready-means",
    ),
    Rule(
        "OnrampWebhooksSilent",
        'sum(increase(onramp_webhook_events_total{outcome="stored"}[2h])) == 0 and on () sum(increase(onramp_stripe_calls_total{call="create",outcome="ok"}[2h])) > 3',
        "Sessions are created, and no event of Stripe arrives. The poller finds paid purchases, more slowly.", "Look at the endpoint in Stripe's dashboard.",
        TICKET, "30m", "a-webhook-never-came",
    ),
    Rule(
        "OnrampWebhooksRefused",
        'sum(increase(onramp_webhook_events_total{outcome="refused"}[10m])) > 3 and on () sum(increase(onramp_webhook_events_total{outcome="stored"}[10m])) == 0',
        "Every event of Stripe is refused.", "Compare STRIPE_WEBHOOK_SECRETS with the endpoint at Stripe, and check the clock.", wait="5m",
    ),
    Rule(
        "OnrampBacklogOld", "max by (worker) (onramp_worker_backlog_age_seconds) > 300", "The worker {{ $labels.worker }} is {{ $value | humanizeDuration }} behind.",
        "`onramp doctor`", wait="2m", anchor="what-ready-means",
    ),
    Rule(
        "OnrampWorkerFails", "time() - max by (worker) (onramp_worker_last_success_timestamp_seconds) > 300", "Each step of the worker {{ $labels.worker }} fails.",
        "Look for `worker.step_failed` in the log.", wait="1m", anchor="what-ready-means",
    ),
    Rule(
        "OnrampWorkerMissing", "max by (worker) (onramp_worker_missing) > 0", "No process runs the worker {{ $labels.worker }}, or its step does not end.",
        "Start `onramp work`.", wait="1m", anchor="what-ready-means",
    ),
    Rule(
        "OnrampWorkerStalled", "max by (instance, worker) (onramp_worker_stalled) > 0", "A step of {{ $labels.worker }} does not end on {{ $labels.instance }}.",
        "Restart that process, and keep its log.", wait="1m", anchor="what-ready-means",
    ),
    Rule("OnrampParked", "max by (worker) (onramp_worker_parked) > 0", "The worker {{ $labels.worker }} has given up on {{ $value }} rows.", "`onramp events list`", TICKET),
    Rule(
        "OnrampPoolExhausted",
        'sum by (instance) (onramp_database_pool_connections{state="in_use"}) / sum by (instance) (onramp_database_pool_size) > 0.8',
        "{{ $labels.instance }} uses most of its connections to the database.", "Look for slow statements; raise DATABASE_POOL_SIZE or add processes.",
        wait="2m", anchor="what-ready-means",
    ),
    Rule(
        "OnrampReplicaLags", "max(onramp_replica_lag_seconds) > 60", "The read replica is behind or does not answer. Lists are read from the primary.",
        "Look at the replica.", TICKET, "5m", "what-ready-means",
    ),
    Rule(
        "OnrampRateLimitsLocal", "sum(increase(onramp_rate_limit_fallbacks_total[5m])) > 0", "Redis does not answer, so each process counts requests by itself.",
        "Look at Redis.", TICKET, "5m", "what-ready-means",
    ),
    Rule(
        "OnrampProcessLags", "max by (instance) (onramp_process_lag_seconds) > 0.5", "{{ $labels.instance }} reacts {{ $value | humanizeDuration }} late.",
        "Give the process more CPU, or add processes.", TICKET, "5m", "what-ready-means",
    ),
    Rule(
        "OnrampListOld", "max(onramp_screening_list_age_seconds) > 2 * 86400", "The sanctions list is older than two days.", "Update the file of SANCTIONS_LIST.",
        TICKET, "10m", "alarms",
    ),
)  # fmt: skip


def alarm_rule(name: str, severity: str, sentence: str, action: str, anchor: str) -> Rule:
    """Return the rule of an alarm that the service raises by itself."""
    words = "".join(part.title() for part in name.replace(".", "_").split("_"))
    return Rule(
        f"OnrampAlarm{words}",
        f'max(onramp_alarm_active{{alarm="{name}"}}) > 0',
        sentence,
        action,
        severity,
        anchor=anchor,
    )


def alarm_rules() -> list[Rule]:
    """Return a rule for each alarm of the catalogue: it fires while the alarm is active."""
    rules = []
    for alarm in ALARMS:
        command = alarm.command.split(" {")[0]
        action = " ".join(part for part in (alarm.action, f"`{command}`" if command else "") if part) or "Nothing."
        rules.append(alarm_rule(alarm.name, alarm.severity, alarm.sentence, action, alarm.anchor))
    return rules


def groups() -> dict[str, list[dict[str, Any]]]:
    """Return the rule files by name: groups as Prometheus reads them."""
    records = [rule for objective in OBJECTIVES for rule in recorded(objective)]
    burns = [rule.yaml() for objective in OBJECTIVES for rule in burn_rates(objective)]
    return {
        # One group, because its rules are evaluated in order: the alerts read what was just recorded.
        "objectives": [{"name": "onramp-objectives", "rules": [*records, *burns]}],
        "money": [{"name": "onramp-money", "rules": [rule.yaml() for rule in MONEY]}],
        "chain": [{"name": "onramp-chain", "rules": [rule.yaml() for rule in CHAIN]}],
        "service": [{"name": "onramp-service", "rules": [rule.yaml() for rule in SERVICE]}],
        "alarms": [{"name": "onramp-alarms", "rules": [rule.yaml() for rule in alarm_rules()]}],
    }


def all_rules() -> list[Rule]:
    """Return every alert."""
    burns = [rule for objective in OBJECTIVES for rule in burn_rates(objective)]
    return [*burns, *MONEY, *CHAIN, *SERVICE, *alarm_rules()]
