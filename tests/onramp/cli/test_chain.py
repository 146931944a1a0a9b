"""`onramp chain status` as an operator types it, also with a node down."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from onramp.dev.chain.devchain import DevChain
from tests.support import faulty_proxy
from tests.support.faulty_proxy import FaultyProxy
from tests.support.paths import ROOT


@contextmanager
def running(folder: Path, urls: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        "PATH": os.environ["PATH"],
        "MEZO_RPC_URLS": urls,
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/x.db",
    }
    command = [str(ROOT / ".venv/bin/onramp"), "chain", "status", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def status(folder: Path, urls: str, *options: str) -> subprocess.CompletedProcess[str]:
    with running(folder, urls, *options) as process:
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def watched(folder: Path, urls: str) -> list[str]:
    """Return the first two tables of `--watch`, which runs until it is stopped."""
    shown: list[list[str]] = [[], []]
    with running(folder, urls, "--watch") as process:
        assert process.stdout is not None
        for table in shown:
            for line in process.stdout:
                table.append(line)
                if "agreed head" in line:
                    break
        assert process.poll() is None
    return ["".join(table) for table in shown]


def test_each_node_is_shown_with_its_state(chain: DevChain, tmp_path: Path) -> None:
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
    first, second = watched(tmp_path, ",".join(urls))
    for word in ("alpha", "public", "alive", "from 1", "delta", "unreachable", "agreed head", "2 of 3"):
        assert word in first
        assert word in second


@asynccontextmanager
async def with_wrong_block_hashes(chain: DevChain) -> AsyncIterator[str]:
    """Yield the URL of a provider that reports a wrong hash for every block."""
    wrong = FaultyProxy("liar", chain.anvil.url)
    await wrong.start()
    wrong.always(faulty_proxy.bent(lambda block: {**block, "hash": "0x" + "cd" * 32}), "eth_getBlockByNumber")
    yield f"liar={wrong.config.url}"
    await wrong.stop()


async def test_a_contradicting_node_is_named_with_its_answer_and_the_others(chain: DevChain, tmp_path: Path) -> None:
    async with with_wrong_block_hashes(chain) as wrong:
        urls = ",".join([*chain.rpc_urls[:2], wrong])
        shown = await asyncio.to_thread(status, tmp_path, urls, "--json")
        table = await asyncio.to_thread(status, tmp_path, urls)
    assert shown.returncode == table.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    (contradiction,) = document["compared"]["contradictions"]
    assert contradiction.startswith(
        f"liar contradicts alpha, beta: block {document['compared']['block']} is 0x{'cd' * 32} with"
    )
    health = {node["name"]: node["health"] for node in document["nodes"]}
    assert health == {"alpha": "alive", "beta": "alive", "liar": "set aside"}
    assert "! liar contradicts alpha, beta: block" in table.stdout


async def test_two_contradicting_providers_exit_with_1(chain: DevChain, tmp_path: Path) -> None:
    async with with_wrong_block_hashes(chain) as wrong:
        shown = await asyncio.to_thread(status, tmp_path, f"{chain.rpc_urls[0]},{wrong}")
    assert shown.returncode == 1
    assert "alpha, liar do not agree on block" in shown.stdout
    assert len(shown.stderr.strip().splitlines()) == 1


def test_too_few_providers_exit_with_1_and_one_line(chain: DevChain, tmp_path: Path) -> None:
    shown = status(tmp_path, f"{chain.rpc_urls[0]},delta=http://127.0.0.1:9/secret-key")
    assert shown.returncode == 1
    assert len(shown.stderr.strip().splitlines()) == 1
    assert "nothing is lost" in shown.stderr
