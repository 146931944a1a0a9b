"""Translate Stripe's errors into problems with a stable code, a sentence for the buyer, and whether a retry can help."""

from collections.abc import Mapping
from typing import Final

from kit.http.problems import Problem


class StripeRefused(Problem):
    """Problem 422: Stripe's rules refuse this purchase, and a retry changes nothing. `code` is Stripe's own."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(422, code, sentence)


class StripeMisconfigured(Problem):
    """Problem 503: our account, key or request is wrong, which the buyer cannot change; `operator` names the cause for the log."""

    def __init__(self, operator: str) -> None:
        super().__init__(
            503,
            "stripe_unavailable",
            "Purchases are not available right now. Nothing was charged.",
            headers={"Retry-After": "300"},
        )
        self.operator = operator


class StripeUnavailable(Problem):
    """Problem 503: Stripe has an outage, cannot be reached, or gave an unusable answer. Repeating the request with the same key is safe.

    With the reasons `stored_failure` and `other_shape`, an immediate repeat gives the same answer.
    """

    def __init__(
        self,
        *,
        retry_after: int = 5,
        outcome_unknown: bool = False,
        stored_failure: bool = False,
        other_shape: bool = False,
        cause: str = "",
    ) -> None:
        """Create the problem; `retry_after` is in seconds.

        `outcome_unknown`: Stripe may have carried out the request. `stored_failure`: Stripe replays a stored error for this key.
        `other_shape`: Stripe's answer does not have the expected shape; an immediate retry returns the same.
        """
        super().__init__(
            503,
            "stripe_unavailable",
            "The payment service cannot be reached right now. Nothing was charged; try again in a moment.",
            headers={"Retry-After": str(max(1, retry_after))},
        )
        self.retry_after = retry_after
        self.outcome_unknown = outcome_unknown
        self.stored_failure = stored_failure
        self.other_shape = other_shape
        self.cause = cause


class StripeNotFound(Problem):
    """Problem 404: Stripe has no object with that id."""

    def __init__(self) -> None:
        super().__init__(404, "not_found", "The payment service does not know this session.")


_AMOUNT = "The payment service does not take this amount. Nothing was charged; try another amount."
_PLACE = "The payment service is not available where you are. Nothing was charged."
_PERSON = "The payment service cannot serve you. Nothing was charged; its support can tell why."
_CURRENCY = "This currency is not available for you at the payment service. Nothing was charged."

REFUSALS: Final[Mapping[str, str]] = {
    "crypto_onramp_unsupported_country": _PLACE,
    "crypto_onramp_unsupportable_customer": _PERSON,
    "crypto_onramp_invalid_source_amount": _AMOUNT,
    "crypto_onramp_invalid_destination_amount": _AMOUNT,
    "crypto_onramp_invalid_amount": _AMOUNT,
    "crypto_onramp_amount_below_minimum": "This amount is below the payment service's minimum. Nothing was charged; try a larger one.",
    "crypto_onramp_amount_above_maximum": "This amount is above the payment service's maximum. Nothing was charged; try a smaller one.",
    "crypto_onramp_limit_exceeded": "This purchase would exceed your limit at the payment service. Nothing was charged.",
    "crypto_onramp_currency_not_available_in_region": _CURRENCY,
    "crypto_onramp_transaction_blocked": _PERSON,
    "crypto_onramp_missing_identity_verification": "The payment service must verify who you are first. Nothing was charged.",
    "crypto_onramp_wallet_address_invalid": "The payment service does not accept this wallet. Nothing was charged.",
    "crypto_onramp_quote_expired": "The quote has expired. Nothing was charged; start again.",
    "customer_ip_address": _PLACE,
    "email_invalid": "The payment service does not take this e-mail address. Nothing was charged; give another, or none.",
}
"""A sentence for the buyer for each code of Stripe that concerns the buyer.

The codes are those of docs.stripe.com/crypto/onramp/embedded and .../embedded-components-error-codes.
"""

OUR_FAULT: Final = frozenset(
    {
        "crypto_onramp_invalid_source_destination_pair",
        "crypto_onramp_incomplete_destination_currency_and_network_pair",
        "crypto_onramp_invalid_destination_currency_and_network_pair",
        "crypto_onramp_missing_source_currency",
        "crypto_onramp_missing_destination_currency",
        "crypto_onramp_invalid_destination_currencies_and_networks",
        "crypto_onramp_conflicting_destination_currency",
        "crypto_onramp_conflicting_destination_network",
        "crypto_onramp_wallet_addresses_not_all_networks_supported",
        "crypto_onramp_no_wallet_address_to_lock",
        "crypto_onramp_merchant_not_properly_setup",
        "parameter_unknown",
    }
)
"""The codes of Stripe that concern our configuration, or a request that we built wrongly."""

OUTAGES: Final = frozenset({"crypto_onramp_disabled", "crypto_onramp_service_error", "zerohash_api_error"})
"""The codes with which Stripe reports an outage: no request can succeed at the moment."""


def from_reply(
    status: int, code: str | None, kind: str | None, param: str | None, headers: Mapping[str, str]
) -> Problem:
    """Return the problem for an error reply of Stripe; `headers` with lower-case names."""
    replayed = headers.get("idempotent-replayed", "").lower() == "true"
    if code in OUTAGES:
        return StripeUnavailable(retry_after=300, cause=code or "")
    if status == 404:
        return StripeNotFound()
    if status == 401:
        return StripeMisconfigured("Stripe refuses the secret key (401): check STRIPE_SECRET_KEY")
    if status == 403:
        return StripeMisconfigured(
            "Stripe says that this key may not use the onramp (403): is the account approved for it?"
        )
    if status == 429:
        return StripeUnavailable(retry_after=_seconds(headers.get("retry-after")), cause="rate limited")
    if status == 409:
        return StripeUnavailable(retry_after=1, outcome_unknown=True, cause="the key is in use")
    if status >= 500:
        return StripeUnavailable(outcome_unknown=True, stored_failure=replayed, cause=f"status {status}")
    if kind == "idempotency_error":
        return StripeMisconfigured(
            "Stripe saw this idempotency key with other parameters: did the configuration change in between?"
        )
    if code is not None and code in REFUSALS:
        return StripeRefused(code, REFUSALS[code])
    if code is not None and code.startswith("crypto_onramp_") and code not in OUR_FAULT:
        return StripeRefused(code[:64], "The payment service refused this purchase. Nothing was charged.")
    return StripeMisconfigured(
        f"Stripe refused the request ({status} {code or kind or 'without a code'}, parameter {param or 'none'})"
    )


def _seconds(text: str | None) -> int:
    return min(int(text), 3600) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else 2
