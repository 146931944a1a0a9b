"""Background work beside requests: a process that only serves reads the list of nodes again, too."""

import asyncio
from pathlib import Path

from tests.support.service import Start


async def test_the_api_takes_another_list_of_nodes_without_a_restart(start: Start, tmp_path: Path) -> None:
    nodes = tmp_path / "nodes"
    nodes.write_text("MEZO_RPC_URLS=a=http://127.0.0.1:9\n")
    service = await start(CHAIN_NODES_FILE=nodes, CHAIN_AGREEMENT=1)

    async def until(words: str) -> None:
        async with asyncio.timeout(60):
            while True:
                async with service.http.get(f"{service.api}/ready") as answer:
                    if words in await answer.text():
                        return
                await asyncio.sleep(0.1)

    await until("0 of 1 providers answer")
    nodes.write_text("MEZO_RPC_URLS=a=http://127.0.0.1:9,b=http://127.0.0.1:19\n")
    await until("0 of 2 providers answer")
    async with service.http.get(f"{service.api}/metrics") as answer:
        assert 'chain_node_credits_used{node="a"}' in await answer.text()
