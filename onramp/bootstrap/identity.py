"""The names under which this service appears in metrics, problem types, HTTP headers and logs."""

import os
import re
import socket
from collections.abc import Collection
from typing import Final

from kit.http.protocol_errors import Identity
from kit.ids import Ids

NAME: Final = "onramp"
"""The prefix of the names of the metrics of the HTTP server, the workers, the audit trail and the database pool."""
PROBLEM_TYPES: Final = "urn:onramp:problem:"
"""The beginning of the `type` of every problem document."""
IDENTITY: Final = Identity(server=NAME, problem_types=PROBLEM_TYPES)
LOGGERS: Final = ("kit", "chain", "treasury", "onramp")
"""The top-level packages: their loggers may log below warning."""
_CONNECTION_NAME_LENGTH: Final = 63
"""Postgres cuts `application_name` after as many bytes (NAMEDATALEN - 1)."""


def connection_name(role: str) -> str:
    """Return the name by which the database's administrator recognises this process's connections: `onramp ROLE@HOST`."""
    text = f"{NAME} {role}@{socket.gethostname().partition('.')[0]}"
    return re.sub(r"[^\x20-\x7e]", "?", text)[:_CONNECTION_NAME_LENGTH]


def process_name(ids: Ids) -> str:
    """Return a new name that no other process sharing the database has, for leases and heartbeats."""
    return f"{socket.gethostname()[:24]}-{os.getpid()}-{ids.new('')[:8]}"


def role_of(workers: Collection[str], every: Collection[str]) -> str:
    """Return the role of a process that runs these workers: `work` for all of `every`, else their names."""
    return "work" if set(workers) == set(every) else "work " + ",".join(name for name in every if name in workers)
