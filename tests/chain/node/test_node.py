"""One node: limits, malformed bodies, cooldowns, the chain id; its URL appears nowhere."""

import asyncio
import traceback
from typing import Any

import pytest
from aiohttp import web

from chain.errors import Malformed, NodeError, NodeTimeout, RateLimited, Unreachable, WrongChain
from kit.logs import configure
from tests.support.fake_node import SECRET


async def failing(node: Any, method: str = "eth_call", timeout: float | None = None) -> NodeError:
    with pytest.raises(NodeError) as raised:
        await node.call(method, [], timeout)
    return raised.value


def reply(**options: Any) -> Any:
    async def handler(_request: web.Request, _call: dict[str, Any]) -> web.Response:
        return web.Response(**options)

    return handler


async def test_the_chain_id_is_asked_once_before_first_use(nodes: Any, pool: Any) -> None:
    await asyncio.gather(*(pool.nodes[0].call("eth_gasPrice", []) for _ in range(20)))
    assert nodes[0].seen["eth_chainId"] == 1
    assert nodes[0].asked[0][0] == "eth_chainId"


async def test_a_node_of_another_chain_is_never_used(nodes: Any, pool: Any) -> None:
    nodes[0].results["eth_chainId"] = hex(1)
    nodes[1].results["eth_gasPrice"] = "0x7"
    assert await pool.first("eth_gasPrice", []) == "0x7"
    assert pool.statuses()[0].state == "wrong_chain"
    answers = await pool.broadcast("eth_sendRawTransaction", ["0x00"])
    assert isinstance({one.node: one.error for one in answers}["a.test"], WrongChain)
    assert set(nodes[0].seen) == {"eth_chainId"}


async def test_the_chain_id_is_asked_again_after_an_outage(nodes: Any, pool: Any) -> None:
    node = pool.nodes[0]
    await node.call("eth_gasPrice", [])
    nodes[0].raw["eth_gasPrice"] = reply(status=502, text="<html>bad gateway</html>")
    await failing(node, "eth_gasPrice")
    del nodes[0].raw["eth_gasPrice"]
    nodes[0].results["eth_chainId"] = hex(31612)
    pool.clock.seconds += 60
    assert isinstance(await failing(node, "eth_gasPrice"), WrongChain)


async def test_a_wrong_chain_that_was_mended_comes_back(nodes: Any, pool: Any) -> None:
    nodes[0].results["eth_chainId"] = hex(1)
    await pool.refresh()
    nodes[0].results["eth_chainId"] = hex(31611)
    pool.clock.seconds += 31
    pool.expire_probe()
    await pool.refresh()
    assert pool.statuses()[0].state == "ok"
    assert "a.test" in pool.heads()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(status=200, text=f"<html>{SECRET}</html>"), Malformed),
        (reply(status=503, text="<html>down</html>"), Unreachable),
        (reply(status=200, text="[" * 200_000), Malformed),
        (reply(status=200, text='[{"jsonrpc":"2.0"}]'), Malformed),
        (reply(status=200, text='{"jsonrpc":"2.0","id":999999,"result":"0x1"}'), Malformed),
        (reply(status=200, text='{"jsonrpc":"2.0","id":true,"result":"0x1"}'), Malformed),
        (reply(status=200, text='{"jsonrpc":"2.0","id":[],"error":{"message":"x"}}'), Malformed),
        (reply(status=302, headers={"Location": "http://127.0.0.1:1/"}), Unreachable),
        (reply(status=200, body=b"x" * (11 * 1024 * 1024)), Malformed),
        (reply(status=200, body=b""), Malformed),
    ],
    ids=["html", "503", "deep", "batch", "other-id", "bool-id", "list-id", "redirect", "huge", "empty"],
)
async def test_odd_bodies_are_an_unreachable_node(nodes: Any, pool: Any, answer: Any, kind: Any) -> None:
    nodes[0].raw["eth_call"] = answer
    error = await failing(pool.nodes[0])
    assert type(error) is kind
    assert isinstance(error, Unreachable)
    assert pool.statuses()[0].state == "cooling"


@pytest.mark.parametrize("deep", ["[" * 1000 + "]" * 1000, '{"a":' * 1000 + "1" + "}" * 1000], ids=["lists", "objects"])
async def test_an_error_nested_too_deeply_is_silence_of_one_node(nodes: Any, pool: Any, deep: str) -> None:
    for node in nodes:
        node.results["eth_getBalance"] = "0x5"
    error = '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":%s,"data":%s}}'
    nodes[0].raw["eth_getBalance"] = reply(text=error % (deep, deep))
    assert (await pool.quorum("eth_getBalance", [])).agreed_by == ("b.test", "c.test")
    assert await pool.first("eth_getBalance", []) == "0x5"


async def test_the_deadline_covers_the_whole_call(nodes: Any, pool: Any) -> None:
    async def trickle(request: web.Request, _call: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(20):
            await response.write(b" ")
            await asyncio.sleep(0.1)
        return response

    nodes[0].raw["eth_call"] = trickle
    began = asyncio.get_running_loop().time()
    assert isinstance(await failing(pool.nodes[0], timeout=0.4), NodeTimeout)
    assert asyncio.get_running_loop().time() - began < 1.0


async def test_429_leaves_the_node_alone_as_long_as_it_asks(nodes: Any, pool: Any) -> None:
    nodes[0].raw["eth_gasPrice"] = reply(status=429, headers={"Retry-After": "7"})
    nodes[1].results["eth_gasPrice"] = "0x7"
    assert await pool.first("eth_gasPrice", []) == "0x7"
    pool.clock.seconds += 6
    await pool.first("eth_gasPrice", [])
    answers = await pool.broadcast("eth_gasPrice", [])
    assert isinstance({one.node: one.error for one in answers}["a.test"], RateLimited)
    assert nodes[0].seen["eth_gasPrice"] == 1
    pool.clock.seconds += 2
    await pool.refresh()
    await pool.first("eth_gasPrice", [])
    assert nodes[0].seen["eth_gasPrice"] == 2


async def test_a_json_rpc_error_is_no_outage(nodes: Any, pool: Any) -> None:
    nodes[0].errors["eth_call"] = {"code": -32000, "message": "execution timeout"}
    await failing(pool.nodes[0])
    assert pool.statuses()[0].state == "ok"


async def test_one_connection_serves_many_calls(nodes: Any, pool: Any) -> None:
    ports: set[Any] = set()

    async def note(request: web.Request, call: dict[str, Any]) -> web.Response:
        ports.add(request.transport.get_extra_info("peername"))  # type: ignore[union-attr] # there while it is answered
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], "result": "0x1"})

    nodes[0].raw["eth_gasPrice"] = note
    for _ in range(10):
        await pool.nodes[0].call("eth_gasPrice", [])
    assert len(ports) == 1


async def test_a_stale_connection_is_repeated_once(nodes: Any, pool: Any) -> None:
    await pool.nodes[0].call("eth_gasPrice", [])

    async def drop(request: web.Request, _call: dict[str, Any]) -> web.Response:
        del nodes[0].raw["eth_gasPrice"]
        request.transport.close()  # type: ignore[union-attr] # there while it is answered
        return web.Response()

    nodes[0].raw["eth_gasPrice"] = drop
    nodes[0].results["eth_gasPrice"] = "0x9"
    assert await pool.nodes[0].call("eth_gasPrice", []) == "0x9"


@pytest.mark.parametrize("fault", ["html", "refused", "timeout", "message", "redirect", "limited", "chain"])
async def test_no_part_of_the_url_is_ever_shown(
    nodes: Any, pool: Any, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("debug", "text", own_loggers=("kit", "chain"))
    node = nodes[0]

    async def hang(_request: web.Request, _call: dict[str, Any]) -> web.Response:
        await asyncio.sleep(1)
        return web.Response()

    if fault == "refused":
        await node.stop()
    elif fault == "message":
        node.errors["eth_call"] = {"code": -32000, "message": f"no route POST /{SECRET}/mezo/rpc?token={SECRET}"}
    elif fault == "chain":
        node.results["eth_chainId"] = "0x1"
    else:
        node.raw["eth_call"] = {
            "html": reply(text=f"<html>{SECRET}</html>"),
            "timeout": hang,
            "redirect": reply(status=307, headers={"Location": f"/{SECRET}"}),
            "limited": reply(status=429),
        }[fault]
    error = await failing(pool.nodes[0], timeout=0.3)
    shown = [
        str(error),
        repr(error),
        repr(error.__dict__),
        "".join(traceback.format_exception(error)),
        repr(pool),
        repr(pool.nodes),
        repr(node.config),
        repr(pool.statuses()),
        repr(pool.calls),
        capsys.readouterr().err,
    ]
    assert not any(SECRET in text for text in shown)
    assert error.__cause__ is None
    assert "aiohttp" not in repr(error.__context__)


async def test_a_node_that_failed_is_not_called_untested_when_its_rest_is_over(nodes: Any, pool: Any) -> None:
    assert pool.statuses()[0].health == "untested"
    await nodes[0].stop()
    await pool.refresh()
    for _ in range(2):
        assert pool.statuses()[0].health == "cooling down"
        pool.clock.seconds += 60
