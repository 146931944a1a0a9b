"""How many files and sockets this process may have open at once."""

import sys
from typing import Final

MOST: Final = 1 << 20
"""As many as are asked for where the system itself names no limit, or a higher one."""
UNKNOWN: Final = 1024
"""Assumed where the system does not tell."""


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one; the limit that holds then.

    A shell's usual soft limit is 1024, which that many idle connections use up; the hard limit is what the administrator allows.
    """
    if sys.platform == "win32":
        return UNKNOWN
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS promises more than its kernel gives
            return soft
        return wanted
    return MOST if soft == resource.RLIM_INFINITY else soft
