"""A real Prometheus that scrapes one target each second, and its HTTP API."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from onramp.dev.chain.anvil import free_port

START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RealPrometheus:
    """A running Prometheus."""

    url: str

    def query(self, expr: str) -> list[Any]:
        """Return the series of an instant query. Raises urllib's HTTPError for an expression that Prometheus refuses."""
        return list(self._get("query", {"query": expr})["result"])

    def query_range(self, expr: str, start: float, end: float, step: float) -> list[Any]:
        """Return the series of a query over a time range (Unix seconds)."""
        values = {"query": expr, "start": str(start), "end": str(end), "step": str(step)}
        return list(self._get("query_range", values)["result"])

    def _get(self, path: str, values: dict[str, str]) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(values)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]


@contextmanager
def real_prometheus(folder: Path, metrics_url: str) -> Iterator[RealPrometheus]:
    """Run Prometheus in `folder` while the block runs; it scrapes `metrics_url`."""
    parts = urllib.parse.urlsplit(metrics_url)
    job = {"job_name": "onramp-work", "metrics_path": parts.path, "static_configs": [{"targets": [parts.netloc]}]}
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))  # JSON is YAML
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address={address}"], stdout=log, stderr=subprocess.STDOUT, cwd=folder
        )
    running = RealPrometheus(f"http://{address}")
    try:
        until = time.monotonic() + START_SECONDS
        while not _is_scraping(running):
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"Prometheus did not start: {(folder / 'prometheus.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield running
    finally:
        process.terminate()
        process.wait(20)


def _is_scraping(running: RealPrometheus) -> bool:
    try:
        return any(series["value"][1] == "1" for series in running.query("up"))
    except OSError:
        return False
