"""Run once more, alone, the few tests that a run of the suite failed: `python -m tests.support.rerun` after pytest.

A virtual machine that stands still for seconds, or two cores under load, fail tests that wait for processes. Such a failure is named and does
not fail the suite if the test passes now. Tests about money get no second run: a failure there is looked at.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

import orjson

MOST: Final = 8
"""More failures than this are no accident."""
ABOUT_MONEY: Final = ("tests/treasury/", "tests/crash/", "tests/model/", "tests/contracts/", "tests/architecture/")


def main() -> int:
    """Return the exit status: 0 only if every failed test may run again and passes."""
    cache = Path(".pytest_cache/v/cache/lastfailed")
    failed = sorted(orjson.loads(cache.read_bytes())) if cache.is_file() else []
    final = [test for test in failed if test.startswith(ABOUT_MONEY) or "::" not in test]
    if not failed or final or len(failed) > MOST:
        print("test: failed; these get no second run:", *(final or failed[:MOST]), sep="\n  ", file=sys.stderr)
        return 1
    print("test: these failed and run once more, alone:", *failed, sep="\n  ", flush=True)
    command = [sys.executable, "-m", "pytest", "--override-ini", "faulthandler_timeout=240", *failed]
    status = subprocess.run(command, check=False).returncode
    if status == 0:
        print("test: they pass now; what disturbed them is worth a look:", *failed, sep="\n  ")
    return status


if __name__ == "__main__":
    sys.exit(main())
