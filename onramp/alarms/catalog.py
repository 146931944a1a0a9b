"""The one table of all alarms: log, metrics, notifications, alert rules and the runbook's table are made from it or compared with it.

The names are a public interface. `tests/onramp/alarms/test_catalog.py` compares the table with the code that raises them, in both directions.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from kit.alarms.model import Definition, Ends, Severity
from onramp.alarms.treasury_alarms import TREASURY

_PAGE, _TICKET, _INFO = Severity.PAGE, Severity.TICKET, Severity.INFO
_WEEK: Final = timedelta(days=7)
_SHOW: Final = "onramp sessions show {session}"

_PURCHASES: Final = (
    Definition(
        "delivery.overdue", _PAGE, Ends.CONDITION,
        "A buyer has paid, and the MUSD has not been confirmed within DELIVERY_OVERDUE_MINUTES.",
        command=_SHOW, anchor="a-purchase-is-overdue",
    ),
    Definition(
        "delivery.mismatch", _PAGE, Ends.EVENT,
        "The chain shows another transfer to a buyer than is owed.",
        command=_SHOW, anchor="a-purchase-is-overdue", expires=_WEEK,
    ),
    Definition(
        "delivery.block_changed", _TICKET, Ends.EVENT,
        "The chain replaced the block of a confirmed delivery, which Mezo's consensus should make impossible.",
        action="The delivery is proved again by itself. Inform your colleagues and Mezo.",
        command=_SHOW, expires=_WEEK,
    ),
    Definition(
        "session.not_owed", _PAGE, Ends.EVENT,
        "Somebody paid, but Stripe's session is not as configured. Nothing was paid out.",
        action="Compare the settings at Stripe.", command=_SHOW, expires=_WEEK,
    ),
    Definition(
        "session.echo_mismatch", _PAGE, Ends.EVENT,
        "Stripe confirmed something else than was requested. Nothing was sold.",
        action="Compare the settings at Stripe.", command=_SHOW, expires=_WEEK,
    ),
    Definition(
        "session.earlier_wallet_named", _TICKET, Ends.EVENT,
        "A paid session names an earlier hot wallet, which may have paid it already. It is not paid again.",
        command=_SHOW, anchor="a-session-names-an-earlier-hot-wallet", expires=_WEEK,
    ),
    Definition(
        "deployment.unknown_purchases", _PAGE, Ends.CONDITION,
        "Stripe has completed purchases that are not in this database. They are not paid.",
        command="onramp doctor", anchor="purchases-that-this-database-does-not-know",
    ),
    Definition(
        "screening.list_unreadable", _TICKET, Ends.CONDITION,
        "The sanctions list cannot be read. The last valid list stays in use.",
        action="Put a valid file in its place.", command="onramp doctor", per_process=True,
    ),
    Definition(
        "webhooks.all_refused", _PAGE, Ends.CONDITION,
        "Three or more signed events in a row were refused, and none was accepted.",
        action="Compare STRIPE_WEBHOOK_SECRETS with the secret of the endpoint at Stripe, and check the clock. Meanwhile the poller "
        "finds paid purchases, more slowly.",
        command="onramp doctor", per_process=True,
    ),
)  # fmt: skip

_SERVICE: Final = (
    Definition(
        "api_keys.money_key_made", _TICKET, Ends.EVENT,
        "A key of an operator, approver or admin was created or got a new secret. The facts name the key, its person, who created it "
        "(`made_by`) and every person behind that (`makers`).",
        action="Ask the person whether they expect it. If not, revoke it, and then the key that created it.",
        command="onramp keys revoke {subject}", anchor="a-key-leaked", expires=timedelta(days=2),
    ),
    Definition(
        "api_keys.unconfirmed_key_works", _PAGE, Ends.EVENT,
        "A secret of an operator, approver or admin works now because 24 hours have passed, and no approver confirmed it.",
        action="If nobody expects it, revoke it at once: until then it can approve. If it is intended, nothing.",
        command="onramp keys revoke {subject}", anchor="a-key-leaked", expires=_WEEK,
    ),
    Definition(
        "passkeys.cloned", _PAGE, Ends.EVENT,
        "The counter of a person's passkey went back: another device may hold the same private key. The command was refused.",
        action="Ask the person. An admin removes the passkey (`DELETE /api/v1/passkeys/{subject}`) and permits another one.",
        anchor="a-passkey-is-lost-or-cloned", expires=_WEEK,
    ),
    Definition(
        "hooks.endpoint_disabled", _TICKET, Ends.CONDITION,
        "Nothing is sent to an endpoint of outgoing webhooks any more: its receiver answered 410 (`gone`), or accepted nothing for five "
        "days (`failing`), or DATA_KEYS does not decrypt its secret (`secret_unreadable`).",
        action="Its delivery log says why. Repair the receiver, enable the endpoint, and recover what it has missed; or delete it.",
        command="onramp hooks deliveries {subject}",
    ),
    Definition(
        "audit.chain_moved", _PAGE, Ends.EVENT,
        "The audit trail was changed behind the service's back.",
        command="onramp audit verify", anchor="the-audit-trail-was-changed", expires=timedelta(days=30),
    ),
    Definition(
        "worker.stalled", _PAGE, Ends.CONDITION,
        "A step of a worker has run for three minutes, in the process that is named. Nothing is sold meanwhile.",
        action="Restart that process and keep its log: each wait in it should have had a timeout.",
        anchor="what-ready-means", per_process=True,
    ),
    Definition(
        "worker.missing", _PAGE, Ends.CONDITION,
        "No process has run this worker for 12 seconds, or its step does not end in any process. After two minutes nothing is sold.",
        command="onramp work", anchor="what-ready-means",
    ),
    Definition(
        "clock.apart", _TICKET, Ends.CONDITION,
        "The clocks of this machine and of the database differ by more than 30 s. At 300 s every event from Stripe is refused.",
        action="Correct the clock (NTP).", per_process=True,
    ),
    Definition(
        "mail.misconfigured", _TICKET, Ends.CONDITION,
        "The mail server refuses the login or the sender, or its certificate is not valid. Buyers get no mail; purchases go on.",
        action="Correct SMTP_URL or MAIL_FROM.", command="onramp doctor", anchor="buyers-get-no-mail", per_process=True,
    ),
)  # fmt: skip

ALARMS: Final = (*TREASURY, *_PURCHASES, *_SERVICE)
"""Every alarm, in the order of the runbook's table."""
CATALOG: Final[Mapping[str, Definition]] = {alarm.name: alarm for alarm in ALARMS}
"""Every alarm by its name."""
