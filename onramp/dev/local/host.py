"""What the development chain asks of the operating system."""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
"""The folder of the project, where node_modules is."""

_PR_SET_PDEATHSIG: Final = 1


class FolderInUseError(Exception):
    """Another process holds the lock of this folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system releases when the process ends, however it ends. Raises FolderInUseError.

    Where the system has no such lock (Windows) nothing is held.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / "lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderInUseError(str(folder)) from error
        yield


def taken(port: int) -> bool:
    """True where somebody listens on this port of the loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ends_with_parent() -> Callable[[], None] | None:
    """What a child process runs first, so that a killed test run leaves none behind; None where the system cannot.

    The child is asked to end by SIGTERM, so that a node still saves its state.
    """
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked to be told
            os._exit(1)

    return arrange
