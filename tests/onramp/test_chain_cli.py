"""`onramp chain status` as a person runs it, against nodes that answer, and against none."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.chain.lying_node import SECRET, LyingNode


@pytest_asyncio.fixture
async def two() -> AsyncIterator[list[LyingNode]]:
    nodes = [LyingNode("alpha"), LyingNode("beta")]
    for node in nodes:
        await node.start()
    yield nodes
    for node in nodes:
        await node.stop()


def urls_of(nodes: list[LyingNode]) -> str:
    return ",".join(f"{node.operator}={node.config.url}" for node in nodes)


async def status(urls: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "MEZO_RPC_URLS": urls, "CHAIN_ID": "31611"}
    command = [sys.executable, "-m", "onramp", "chain", "status", "--json"]
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False
    )


async def test_each_node_is_told_of_without_its_url(two: list[LyingNode]) -> None:
    said = await status(urls_of(two))
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert told["agreedHead"] == 100
    assert [(node["name"], node["health"], node["lag"]) for node in told["nodes"]] == [
        ("alpha", "alive", 0),
        ("beta", "alive", 0),
    ]
    assert all(node["p50"] <= node["p95"] for node in told["nodes"])
    assert SECRET not in said.stdout + said.stderr


async def test_one_node_alone_is_not_enough_and_it_says_so(two: list[LyingNode]) -> None:
    urls = urls_of(two)
    await two[1].stop()
    said = await status(urls)
    assert said.returncode == 1
    assert next(node["health"] for node in json.loads(said.stdout)["nodes"]) == "alive"
    assert "2 operators must tell their newest block, 1 did" in said.stderr
    assert SECRET not in said.stdout + said.stderr
