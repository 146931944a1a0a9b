"""The service level objectives: the metric `onramp_slo_target` and the alert rules in `deploy/monitoring` share these numbers."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective over 30 days."""

    slo: str
    """Its name, the label `slo` of `onramp_slo_target`."""
    target: float
    """The share of good events, such as 0.999."""
    sentence: str

    @property
    def budget(self) -> float:
        """The share of events that may be bad."""
        return round(1 - self.target, 10)


API: Final = Objective("api", 0.999, "The API answers without an error of its own.")
WEBHOOKS: Final = Objective("webhooks", 0.9999, "Stripe's events are taken.")
DELIVERY: Final = Objective("delivery", 0.99, "A paid purchase is delivered and proved within a minute.")
EVENTS: Final = Objective("events", 0.99, "An event of Stripe is handled within ten seconds.")
OBJECTIVES: Final = (API, WEBHOOKS, DELIVERY, EVENTS)
EVENT_SECONDS: Final = 10.0
"""How long an event may take from its receipt until it is handled; a bucket of `onramp_webhook_event_age_seconds`."""
DELIVERY_SECONDS: Final = 60.0
"""How long a delivery may take from paid to confirmed; a bucket of `onramp_delivery_duration_seconds`."""
