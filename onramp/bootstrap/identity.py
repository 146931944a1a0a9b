"""The names under which this service appears in metrics, problem types, HTTP headers and logs."""

from typing import Final

from kit.http.protocol_errors import Identity

NAME: Final = "onramp"
"""The prefix of the names of the metrics of the HTTP server, the workers, the audit trail and the database pool."""
PROBLEM_TYPES: Final = "urn:onramp:problem:"
"""The beginning of the `type` of every problem document."""
IDENTITY: Final = Identity(server=NAME, problem_types=PROBLEM_TYPES)
LOGGERS: Final = ("kit", "chain", "treasury", "onramp")
"""The top-level packages: their loggers may log below warning."""
