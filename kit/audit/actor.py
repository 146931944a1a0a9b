"""The author of a change, as histories and the audit log record it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change: an API key or a worker of this service, and the person behind it.

    `id` is what histories and the audit log record. `person` is the name by which persons are compared: two keys of one person are one person, so a
    second key does not let anybody approve their own proposal.
    """

    id: str
    person: str
