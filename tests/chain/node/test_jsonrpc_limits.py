"""A node's answer of any size and shape keeps the event loop busy for a moment at most."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest

from chain.errors import NodeError
from chain.node.config import NodeConfig
from chain.node.jsonrpc import MAX_ANSWER, MAX_ANSWER_DEFAULT
from chain.pool.pool import Pool
from chain.types import data_bytes
from tests.support.loop_lag import LONGEST_STEP, watched

Result = Callable[[], bytes]
FULL = MAX_ANSWER_DEFAULT - 1000
LOG = b'{"address":"0x%b","topics":["0x%b","0x%b","0x%b"],"data":"0x%b","blockNumber":"0x1","transactionHash":"0x%b","transactionIndex":"0x0","blockHash":"0x%b","logIndex":"0x0","removed":false}'  # noqa: E501 - one log as mezod writes it
LOGS = b"[" + b",".join([LOG % ((b"a" * 40,) + (b"b" * 64,) * 6)] * 10_000) + b"]"
RESULTS: dict[str, bytes] = {
    "empty lists": b"[" + b",".join([b"[]"] * (FULL // 3)) + b"]",
    "numbers": b"[" + b",".join([b"0"] * (FULL // 2)) + b"]",
    "empty strings": b"[" + b",".join([b'""'] * (FULL // 3)) + b"]",
    "many fields": b"{" + b",".join(b'"%d":0' % number for number in range(FULL // 10)) + b"}",
    "a nest": b"[" * 5_000_000 + b"]" * 5_000_000,
    "one text": b'"0x' + b"00" * (FULL // 2) + b'"',
    "white space": b" " * FULL + b"0",
    "ten thousand logs": LOGS,
}


@contextmanager
def saying(answer: Callable[[int], bytes]) -> Iterator[NodeConfig]:
    """A node in its own thread that answers each call by its id."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            chain = b'{"jsonrpc":"2.0","id":%d,"result":"0x7b7b"}' % asked["id"]
            body = chain if asked["method"] == "eth_chainId" else answer(asked["id"])
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # it was cut off
                self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield NodeConfig("a", "a", f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def longest(config: NodeConfig, method: str) -> float:
    pool = Pool([config], chain_id=31611, agreement=1)
    found = []
    for _ in range(3):
        with watched() as steps, suppress(NodeError):
            await pool.nodes[0].call(method, [])
        found.append(steps.longest)
    await pool.close()
    return min(found)


@pytest.mark.parametrize(
    ("what", "method"),
    [*((what, "eth_getLogs") for what in RESULTS), ("one text", "eth_call"), ("one text", "eth_getCode")],
)
async def test_a_result_of_any_shape(what: str, method: str) -> None:
    with saying(lambda number: b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (number, RESULTS[what])) as config:
        assert await longest(config, method) < LONGEST_STEP


@pytest.mark.parametrize("field", ["message", "data"])
async def test_an_error_of_any_length(field: str) -> None:
    long = b"EVM error: http://node.test/" + b"ab" * (FULL // 2)
    with saying(
        lambda number: b'{"jsonrpc":"2.0","id":%d,"error":{"code":3,"%b":"%b"}}' % (number, field.encode(), long)
    ) as config:
        assert await longest(config, "eth_getLogs") < LONGEST_STEP


async def test_ten_thousand_logs_are_read() -> None:
    with saying(lambda number: b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (number, LOGS)) as config:
        pool = Pool([config], chain_id=31611, agreement=1)
        assert len(await pool.nodes[0].call("eth_getLogs", [])) == 10_000
        await pool.close()


async def test_a_call_reads_no_more_than_a_call_may_say() -> None:
    word = b"00" * MAX_ANSWER["eth_call"]
    with saying(lambda number: b'{"jsonrpc":"2.0","id":%d,"result":"0x%b"}' % (number, word)) as config:
        pool = Pool([config], chain_id=31611, agreement=1)
        with pytest.raises(NodeError, match="larger than 262144 bytes"):
            await pool.nodes[0].call("eth_call", [])
        await pool.close()


@pytest.mark.parametrize(
    "text",
    ["0x 00", "0x00 ", "0x0 0", "0x\n00", "0x0", "0xzz", "00", "", "0X00", "0x0x", "0x\u0660\u0660", None, 7, b"0x00"],
)
def test_invalid_hex_data_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not hexadecimal data"):
        data_bytes(text)


def test_data_is_read_in_either_case() -> None:
    assert [data_bytes(text) for text in ("0x", "0x00fF", "0xABcd")] == [b"", b"\x00\xff", b"\xab\xcd"]
