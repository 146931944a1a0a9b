"""Files, locks, ports and processes of this computer, for the development chain."""

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
"""The project's folder, which contains node_modules."""

_PR_SET_PDEATHSIG: Final = 1


class FolderInUseError(Exception):
    """Another process holds the lock of this folder."""


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while the block runs; the system releases it when the process ends, even if it is killed. Raises FolderInUseError.

    Does nothing on systems without such a lock (Windows).
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


def port_in_use(port: int) -> bool:
    """Return whether a program listens on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end_with_parent() -> Callable[[], None] | None:
    """Return a function for a child process to run first, so that it ends with its parent; None if the system cannot do that.

    A killed test run then leaves no process behind. The child receives SIGTERM, so that a node still saves its state.
    """
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent died before prctl
            os._exit(1)

    return arrange
