"""Random nodes that limit, cut off, prune and lag: a reading reported as complete is complete, and its transfers are true."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.errors import NoAgreement
from chain.node.config import NodeConfig
from chain.pool.pool import Pool
from chain.reads.transfers import TransferReader
from tests.support.fake_mezod import Mezod
from tests.support.fake_node import Refusal
from tests.support.receipts import TOKEN, WALLET
from tests.support.scripted_transport import LoopClock, Raw, ScriptedSession, VirtualLoop

HEAD = 30_000


@dataclass(frozen=True)
class Past:
    """Blocks with transfers, how each node keeps and returns them, and the readings: seconds between them, and how far back each goes."""

    paid: frozenset[int]
    stores: tuple[tuple[int, int, int, int], ...]
    looks: tuple[tuple[int, int, int], ...]


NODE = st.tuples(
    st.sampled_from([1, 1, 1, HEAD - 10_000, HEAD - 900, HEAD - 30, HEAD]),
    st.sampled_from([0, 0, 1, 40]),
    st.sampled_from([500, 2_000, 10_000]),
    st.sampled_from([5, 100, 10_000]),
)
"""The first block held, the blocks it lags, and its limits of blocks and logs."""
PAST = st.builds(
    Past,
    st.frozensets(st.integers(1, HEAD) | st.integers(HEAD - 1_000, HEAD), max_size=40),
    st.tuples(NODE, NODE, NODE),
    st.lists(
        st.tuples(st.sampled_from([4, 700]), st.integers(0, 12_000), st.integers(0, 50)), min_size=1, max_size=4
    ).map(tuple),
)


async def live(past: Past) -> None:
    """Run every reading of one history."""
    stores = {
        f"n{place}.test": Mezod(HEAD - lag, first, set(past.paid), max_blocks, max_logs)
        for place, (first, lag, max_blocks, max_logs) in enumerate(past.stores)
    }

    def speak(host: str, method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return hex(31611)
        if method == "eth_getTransactionReceipt":
            return None
        try:
            return stores[host].results()[method](params)
        except Refusal as refusal:
            return Raw(orjson.dumps({"jsonrpc": "2.0", "id": None, "error": refusal.error}))

    session: Any = ScriptedSession(speak)
    pool = Pool(
        [NodeConfig(host, host, f"http://{host}/") for host in stores],
        chain_id=31611,
        session=session,
        clock=LoopClock(),
    )
    reader = TransferReader(pool, TOKEN, [WALLET])
    try:
        for seconds, back, length in past.looks:
            await asyncio.sleep(seconds)
            await pool.refresh()
            frm, to = max(0, HEAD - back - length * length), HEAD - back
            able = sum(store.holds_from <= max(frm, 1) and store.head >= to for store in stores.values())
            try:
                reading = await reader.read_agreed(frm, to)
            except NoAgreement:
                assert sum(store.head >= to for store in stores.values()) == 0
                continue
            blocks_read = {transfer.block.number for transfer in reading.transfers}
            true = {block for block in past.paid if frm <= block <= to}
            assert blocks_read <= true, past
            assert blocks_read >= {block for block in true if block >= reading.covered_from}, past
            if reading.covered_from == frm:
                assert able >= pool.agreement, past
            for store in stores.values():
                assert all(last <= store.head for _, last in store.asked), past
    finally:
        await pool.close()


def test_a_reading_reported_complete_is_complete_and_no_node_is_asked_above_its_head() -> None:
    @settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(PAST)
    def run(past: Past) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(live(past))

    run()
