"""One JSON-RPC exchange over HTTP, bounded in time and size. Its outcome is a result or a `NodeError`.

Errors are raised outside the handlers of aiohttp's exceptions, so that none is chained: they contain the URL, and the URL a key.
"""

import asyncio
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import aiohttp
import orjson

from chain.errors import BatchRefused, Malformed, NodeError, NodeTimeout, RateLimited, Unreachable, classify
from chain.node.config import NodeConfig
from kit.http.retry_after import retry_after_seconds
from kit.logs import redact

MAX_ANSWER_DEFAULT = 10 * 1024 * 1024
"""The largest answer in bytes. Ten thousand logs, the most that mezod returns at once, take seven of these ten megabytes."""
MAX_ANSWER: Final = {"eth_call": 256 * 1024, "eth_getCode": 1024 * 1024}
"""The largest answer in bytes to methods for which a stranger may choose the contract; our own contracts return less than a hundredth of it."""
MAX_VALUES: Final = 500_000
"""The most values in one answer, counted by commas; ten thousand logs have a third of it. Parsing blocks the event loop, in proportion to the values."""
_MAX_DETAIL = 300
_MAX_READ = 4_000
_HEADERS = {"Content-Type": "application/json"}
MIN_TIMEOUT = 0.001
"""The shortest timeout in seconds that is given to aiohttp, for which zero would mean no limit."""
_OK = 200
_REDIRECTS = range(300, 400)
_TOO_MANY_REQUESTS = 429
_MAX_WAIT = 3600.0
_REFUSED = frozenset({400, 405, 413, 415, 422, 501})
"""HTTP statuses with which a server refuses batches, or large ones, instead of a JSON-RPC error."""
_STALE = ("ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError")


class _Reply(NamedTuple):
    status: int
    body: bytes
    retry_after: str | None


def _detail(config: NodeConfig, text: str) -> str:
    # A contract that a stranger chose may return megabytes of text.
    return redact(config.scrub(text[:_MAX_READ]))[:_MAX_DETAIL]


@lru_cache(256)
def _limit(seconds: float) -> aiohttp.ClientTimeout:
    # By default aiohttp rounds timeouts of five seconds and more up to the next full second of its clock.
    return aiohttp.ClientTimeout(total=seconds, ceil_threshold=math.inf)


async def _post(
    session: aiohttp.ClientSession, config: NodeConfig, body: bytes, timeout: float, max_bytes: int
) -> _Reply | NodeError:
    try:
        async with session.post(
            config.url,
            data=body,
            headers=_HEADERS,
            allow_redirects=False,
            raise_for_status=False,
            timeout=_limit(round(timeout, 3) or MIN_TIMEOUT),
        ) as response:
            chunks: list[bytes] = []
            size = 0
            # `readany` returns what has arrived; `read` and `iter_chunked` make each call five percent slower.
            while chunk := await response.content.readany():
                size += len(chunk)
                if size > max_bytes:
                    return Malformed(config.name, f"the answer is larger than {max_bytes} bytes")
                chunks.append(chunk)
            return _Reply(response.status, b"".join(chunks), response.headers.get("Retry-After"))
    except TimeoutError:
        return NodeTimeout(config.name, f"no answer within {timeout:g} s")
    except (aiohttp.ClientError, OSError, ValueError, AttributeError) as error:
        # aiohttp has been seen to fail on its own attributes (a message without headers) where a connection ended at the wrong moment.
        return Unreachable(config.name, f"the connection failed ({type(error).__name__})")


def _rpc_error(config: NodeConfig, error: Any) -> NodeError:
    if not isinstance(error, dict):
        return Malformed(config.name, "the answer's error is not an object")
    code = error.get("code")
    code = code if isinstance(code, int) else None
    # Only text is kept: deeply nested JSON cannot even be formatted.
    message, data = (text if isinstance(text := error.get(name), str) else "" for name in ("message", "data"))
    kind = classify(code, message)
    return kind(config.name, _detail(config, message) or "an error without a message", code=code, data=data or None)


def _http_error(config: NodeConfig, reply: _Reply) -> NodeError | None:
    if reply.status == _TOO_MANY_REQUESTS:
        limited = RateLimited(config.name, "too many requests", code=_TOO_MANY_REQUESTS)
        wait = retry_after_seconds(reply.retry_after, datetime.now(UTC))
        limited.retry_after = None if wait is None else min(wait, _MAX_WAIT)
        return limited
    if reply.status in _REDIRECTS:
        return Unreachable(config.name, f"answers with a redirect (HTTP {reply.status}), which is not followed")
    return None


def _loads(body: bytes) -> Any:
    if len(body) > MAX_VALUES and body.count(b",") > MAX_VALUES:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _read(config: NodeConfig, reply: _Reply, request_id: int) -> Any | NodeError:
    failed = _http_error(config, reply)
    if failed is not None:
        return failed
    answer = _loads(reply.body)
    if not isinstance(answer, dict):
        if reply.status != _OK:
            return Unreachable(config.name, f"HTTP {reply.status} without a JSON-RPC answer")
        return Malformed(config.name, "the answer is not JSON-RPC")
    ours = type(answer.get("id")) is int and answer["id"] == request_id
    # Null is the id of an error that the server could not assign to a request; the connection assigns it.
    if answer.get("error") is not None and (ours or answer.get("id") is None):
        return _rpc_error(config, answer["error"])
    if reply.status != _OK:
        return Unreachable(config.name, f"HTTP {reply.status} without a JSON-RPC answer")
    if not ours or "result" not in answer:
        return Malformed(config.name, "the answer belongs to another request")
    return answer["result"]


def _read_many(config: NodeConfig, reply: _Reply, first_id: int, count: int) -> list[Any | NodeError] | NodeError:
    failed = _http_error(config, reply)
    if failed is not None:
        return failed
    answer = _loads(reply.body)
    if not isinstance(answer, list):
        return _no_array(config, reply, answer)
    by_id: dict[int, list[dict[str, Any]]] = {}
    for item in answer:
        if isinstance(item, dict) and type(item.get("id")) is int:
            by_id.setdefault(item["id"], []).append(item)
    # geth answers a batch that is too large with one error, with the first call's id or with none.
    if len(answer) == 1 and count > 1 and isinstance(answer[0], dict) and answer[0].get("error") is not None:
        return _no_array(config, reply, answer[0])
    return [_item(config, by_id.get(number, [])) for number in range(first_id, first_id + count)]


def _no_array(config: NodeConfig, reply: _Reply, answer: Any) -> NodeError:
    """Return the error for one object that answers a batch: about the whole batch, or from a server without batches."""
    if isinstance(answer, dict):
        error = _rpc_error(config, answer["error"]) if answer.get("error") is not None else None
        if isinstance(error, RateLimited | NodeTimeout):
            return error
        return BatchRefused(config.name, "answers a batch with one object" if error is None else error.detail)
    if reply.status in _REFUSED:
        return BatchRefused(config.name, f"HTTP {reply.status} to a batch")
    if reply.status != _OK:
        return Unreachable(config.name, f"HTTP {reply.status} without a JSON-RPC answer")
    return Malformed(config.name, "the answer is not JSON-RPC")


def _item(config: NodeConfig, answers: list[dict[str, Any]]) -> Any | NodeError:
    if len(answers) != 1:
        return Malformed(config.name, "a batch was answered in part" if not answers else "one call has several answers")
    (item,) = answers
    if item.get("error") is not None:
        return _rpc_error(config, item["error"])
    return item["result"] if "result" in item else Malformed(config.name, "an answer without a result")


async def exchange(
    session: aiohttp.ClientSession, config: NodeConfig, request_id: int, method: str, params: list[Any], timeout: float
) -> Any:
    """Send one call and return its result. Raises NodeError.

    `timeout` in seconds includes a retry on a stale connection.
    """
    body = orjson.dumps(_call(request_id, method, params))
    reply = await _posted(session, config, body, timeout, MAX_ANSWER.get(method, MAX_ANSWER_DEFAULT))
    outcome = reply if isinstance(reply, NodeError) else _read(config, reply, request_id)
    if isinstance(outcome, NodeError):
        raise outcome
    return outcome


async def exchange_many(
    session: aiohttp.ClientSession,
    config: NodeConfig,
    first_id: int,
    calls: Sequence[tuple[str, list[Any]]],
    timeout: float,
) -> list[Any]:
    """Send the calls as one batch and return the result of each, or its NodeError, in the order of `calls`.

    Ids count up from `first_id`. Raises NodeError if the whole exchange failed, BatchRefused if the node does not accept such a batch.
    """
    body = orjson.dumps([_call(first_id + place, *call) for place, call in enumerate(calls)])
    reply = await _posted(session, config, body, timeout)
    outcome = reply if isinstance(reply, NodeError) else _read_many(config, reply, first_id, len(calls))
    if isinstance(outcome, NodeError):
        raise outcome
    return outcome


def _call(request_id: int, method: str, params: list[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


async def _posted(
    session: aiohttp.ClientSession, config: NodeConfig, body: bytes, timeout: float, max_bytes: int = MAX_ANSWER_DEFAULT
) -> _Reply | NodeError:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    reply = await _post(session, config, body, timeout, max_bytes)
    # A server may close an idle connection just as we write to it. Sending again is harmless, even for a broadcast:
    # the bytes are the same, and "already known" is a success.
    if isinstance(reply, Unreachable) and any(f"({name})" in reply.detail for name in _STALE):
        reply = await _post(session, config, body, max(deadline - loop.time(), MIN_TIMEOUT), max_bytes)
    return reply
