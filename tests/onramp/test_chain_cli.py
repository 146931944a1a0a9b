"""`onramp chain status` as an operator types it, with an operator's node down."""

import json
import os
import subprocess
from pathlib import Path

from onramp.dev.devchain import DevChain

ROOT = Path(__file__).resolve().parents[2]


def status(folder: Path, urls: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "MEZO_RPC_URLS": urls,
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/x.db",
    }
    command = [str(ROOT / ".venv/bin/onramp"), "chain", "status", *options]
    return subprocess.run(command, check=False, env=environment, cwd=folder, capture_output=True, text=True, timeout=60)


def test_each_node_is_shown_as_it_stands(chain: DevChain, tmp_path: Path) -> None:
    urls = [*chain.rpc_urls[:2], "delta=http://127.0.0.1:9/secret-key"]
    shown = status(tmp_path, ",".join(urls), "--json")
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    nodes = {node["name"]: node for node in document["nodes"]}
    assert nodes["alpha"]["health"] == nodes["beta"]["health"] == "alive"
    assert nodes["delta"]["health"] in {"unreachable", "cooling down"}
    assert nodes["delta"]["errors"]["unreachable"] >= 1
    assert nodes["alpha"]["p95"] > 0
    assert (nodes["alpha"]["holdsFrom"], nodes["delta"]["holdsFrom"]) == (1, None)
    assert document["agreedHead"] >= 1
    assert document["paused"] is None
    assert "secret-key" not in shown.stdout + shown.stderr
    table = status(tmp_path, ",".join(urls))
    assert table.returncode == 0
    for word in ("alpha", "alive", "from 1", "delta", "agreed head", "2 of 3"):
        assert word in table.stdout


def test_too_few_operators_is_exit_one_and_one_line(chain: DevChain, tmp_path: Path) -> None:
    shown = status(tmp_path, f"{chain.rpc_urls[0]},delta=http://127.0.0.1:9/secret-key")
    assert shown.returncode == 1
    assert len(shown.stderr.strip().splitlines()) == 1
    assert "nothing is lost" in shown.stderr
