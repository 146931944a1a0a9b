"""The limit of files and sockets that this process may have open at once (RLIMIT_NOFILE)."""

import sys
from typing import Final

MAX_OPEN_FILES: Final = 1 << 20
"""The limit that is requested if the system has no hard limit, or a higher one."""
ASSUMED: Final = 1024
"""The limit that is assumed on systems that do not report one."""


def raise_open_file_limit() -> int:
    """Raise the soft limit to the hard one, up to MAX_OPEN_FILES, and return the limit that then applies.

    The usual soft limit of a shell is 1024, which as many idle connections exhaust. The hard limit is what the administrator allows.
    """
    if sys.platform == "win32":
        return ASSUMED
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < target:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        except (OSError, ValueError):  # macOS reports a higher limit than its kernel accepts
            return soft
        return target
    return MAX_OPEN_FILES if soft == resource.RLIM_INFINITY else soft
