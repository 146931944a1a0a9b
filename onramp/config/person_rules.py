"""Names that no person may have, because records show them in place of a person."""

from typing import Final

RESERVED: Final = ("machine", "system", "onramp", "treasury", "sweeper", "janitor", "file")
"""The names that the service writes in place of a person, in histories and in the audit trail."""
ID_PREFIXES: Final = ("key_", "inv_", "oid_")
"""The prefixes of the ids that records show in place of a person."""
