"""The dashboard of purchases."""

from typing import Final

from deploy.monitoring.objective_rules import EVENTS_OF
from deploy.monitoring.panels import Board, Panel, quantiles
from onramp.ops.objectives import OBJECTIVES, Objective


def _budget(objective: Objective) -> Panel:
    bad, total = (text.replace("WINDOW", "30d") for text in EVENTS_OF[objective.slo])
    target = f'(1 - max(onramp_slo_target{{slo="{objective.slo}"}}))'
    return Panel(
        f"Budget left: {objective.slo}",
        "percentunit",
        f"{objective.sentence} The share of the 30 days' error budget that is left; below 0 the objective is missed.",
        ((f"1 - ({bad} / ({total} > 0)) / {target}", "left"),),
        "stat",
    )


def _moves(axis: str, to: str, window: str = "1h") -> str:
    return f'sum(increase(onramp_session_moves_total{{axis="{axis}",to="{to}"}}[{window}]))'


PURCHASES: Final = Board(
    "purchases",
    "Onramp: purchases",
    "Do buyers get what they paid for, and how fast?",
    (
        *(_budget(objective) for objective in OBJECTIVES),
        Panel(
            "Purchases that need a person",
            "short",
            "Deliveries that are overdue or differ from what is owed, and alarms that last.",
            (
                ("max(onramp_deliveries_overdue)", "overdue"),
                ('max(onramp_deliveries{status="mismatch"})', "mismatch"),
                ("sum(max by (alarm) (onramp_alarm_active))", "alarms"),
            ),
            "stat",
        ),
        Panel(
            "Not made whole in MUSD, 30 days",
            "short",
            "Payouts that persons rejected, closed or settled by another transfer. Refunds and disputes are Stripe's.",
            (("sum by (how) (increase(onramp_unwound_total[30d]))", "{{how}}"),),
            "stat",
        ),
        Panel(
            "Funnel per hour",
            "short",
            "How many purchases were created, paid and delivered in an hour?",
            (
                (_moves("payment", "created"), "created"),
                (_moves("payment", "fulfillment_complete"), "paid"),
                (_moves("delivery", "confirmed"), "delivered"),
            ),
        ),
        Panel(
            "Conversion",
            "percentunit",
            "Which share of the purchases created in six hours was paid?",
            (
                (
                    f"{_moves('payment', 'fulfillment_complete', '6h')} / ({_moves('payment', 'created', '6h')} > 0)",
                    "paid / created",
                ),
            ),
        ),
        Panel(
            "Volume per hour",
            "short",
            "How much was paid and delivered in an hour, in token units?",
            (
                ("sum(increase(onramp_paid_usdc_total[1h]))", "USDC paid"),
                ("sum(increase(onramp_delivered_musd_total[1h]))", "MUSD delivered"),
            ),
        ),
        Panel(
            "Paid to delivered",
            "s",
            "How long do buyers wait from payment to the proved delivery?",
            quantiles("onramp_delivery_duration_seconds"),
        ),
        Panel(
            "Sessions by payment",
            "short",
            "In which payment status are sessions?",
            (("max by (status) (onramp_sessions)", "{{status}}"),),
        ),
        Panel(
            "Deliveries",
            "short",
            "In which status are the deliveries of paid sessions?",
            (("max by (status) (onramp_deliveries)", "{{status}}"),),
        ),
        Panel(
            "Delivery outcomes",
            "short",
            "What did proofs of deliveries find in an hour?",
            (("sum by (outcome) (increase(onramp_delivery_outcomes_total[1h]))", "{{outcome}}"),),
        ),
        Panel(
            "Stripe's events",
            "short",
            "What happened to events of Stripe in an hour?",
            (("sum by (outcome) (increase(onramp_webhook_events_total[1h]))", "{{outcome}}"),),
        ),
        Panel(
            "Age of events when handled",
            "s",
            "How long did events wait until they were applied?",
            quantiles("onramp_webhook_event_age_seconds"),
        ),
        Panel(
            "Refused or ignored",
            "short",
            "Purchases refused by screening, and sessions at Stripe that are not ours, in an hour.",
            (
                ("sum(increase(onramp_screening_refused_total[1h]))", "refused by screening"),
                ("sum by (reason) (increase(onramp_sessions_ignored_total[1h]))", "{{reason}}"),
            ),
        ),
        Panel(
            "Purchases this database does not know",
            "short",
            "Completed purchases at Stripe that may be this deployment's and have no row.",
            (("max(onramp_unknown_purchases)", "unknown"),),
        ),
        Panel(
            "Mail to buyers",
            "short",
            "What became of mails to buyers in an hour?",
            (("sum by (outcome) (increase(onramp_buyer_mails_total[1h]))", "{{outcome}}"),),
        ),
    ),
)
