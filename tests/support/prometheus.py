"""Where Prometheus's tools are; tests that need them are skipped without them, except in CI."""

import os
import shutil
from typing import Final

import pytest

IN_CI: Final = os.environ.get("CI", "").lower() in {"1", "true"}
needs_prometheus = pytest.mark.skipif(
    not IN_CI
    and not all(shutil.which(tool) for tool in ("promtool", "amtool", "prometheus", "prometheus-alertmanager")),
    reason="no Prometheus and Alertmanager on this machine: alert rules are not tested",
)
"""A mark that skips tests where Debian's `prometheus` or `prometheus-alertmanager` is missing; in CI they run and fail instead."""
