"""One JSON-RPC exchange over HTTP, bounded in time and size; whatever comes back is an answer or a `NodeError`.

An error is raised only after aiohttp's own exception has been left behind: theirs carry the URL, and the URL holds the
key.
"""

import asyncio
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import aiohttp
import orjson

from chain.errors import BatchRefused, Malformed, NodeError, NodeTimeout, RateLimited, Unreachable, classify
from chain.node.config import NodeConfig
from kit.logs import redact

MAX_ANSWER_DEFAULT = 10 * 1024 * 1024
"""Bytes of one answer. Ten thousand logs, the most that mezod gives at once, take seven of these ten megabytes."""
MAX_ANSWER: Final = {"eth_call": 256 * 1024, "eth_getCode": 1024 * 1024}
"""Bytes of an answer to what a stranger may choose the contract for; none of ours says a hundredth of it."""
MAX_VALUES: Final = 500_000
"""Values in one answer, by its commas; ten thousand logs have a third of it. Parsing holds up everybody else, and is paid by the value."""
_MAX_DETAIL = 300
_MAX_READ = 4_000
_HEADERS = {"Content-Type": "application/json"}
MIN_TIMEOUT = 0.001
"""Seconds for what is asked when the time is up; to aiohttp, zero would mean no limit."""
_OK = 200
_REDIRECTS = range(300, 400)
_TOO_MANY_REQUESTS = 429
_MAX_WAIT = 3600.0
_REFUSED = frozenset({400, 405, 413, 415, 422, 501})
"""HTTP statuses of those who take no batch, or none so large, and do not say so in JSON."""
_STALE = ("ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError")


class _Reply(NamedTuple):
    status: int
    body: bytes
    retry_after: str | None


def _seconds(header: str | None) -> float | None:
    """`Retry-After` in seconds, whether it was given as seconds or as a date; None where it says nothing."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _MAX_WAIT) if seconds == seconds else None  # noqa: PLR0124 - "nan" parses as a float


def _told(config: NodeConfig, text: str) -> str:
    # A contract that a stranger chose may speak for megabytes.
    return redact(config.scrub(text[:_MAX_READ]))[:_MAX_DETAIL]


@lru_cache(256)
def _limit(seconds: float) -> aiohttp.ClientTimeout:
    # By itself aiohttp lets five seconds and more end on the next full second of its clock.
    return aiohttp.ClientTimeout(total=seconds, ceil_threshold=math.inf)


async def _post(
    session: aiohttp.ClientSession, config: NodeConfig, body: bytes, timeout: float, most: int
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
            # What has come, as it comes: `read` and `iter_chunked` cost each call a twentieth more.
            while chunk := await response.content.readany():
                size += len(chunk)
                if size > most:
                    return Malformed(config.name, f"the answer is larger than {most} bytes")
                chunks.append(chunk)
            return _Reply(response.status, b"".join(chunks), response.headers.get("Retry-After"))
    except TimeoutError:
        return NodeTimeout(config.name, f"no answer within {timeout:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Unreachable(config.name, f"the connection failed ({type(error).__name__})")


def _rpc_error(config: NodeConfig, error: Any) -> NodeError:
    if not isinstance(error, dict):
        return Malformed(config.name, "the answer's error is no object")
    code = error.get("code")
    code = code if isinstance(code, int) else None
    # Only what is text: JSON that is nested deeply enough cannot even be shown.
    message, data = (told if isinstance(told := error.get(name), str) else "" for name in ("message", "data"))
    kind = classify(code, message)
    return kind(config.name, _told(config, message) or "an error without a message", code=code, data=data or None)


def _http_error(config: NodeConfig, reply: _Reply) -> NodeError | None:
    if reply.status == _TOO_MANY_REQUESTS:
        limited = RateLimited(config.name, "too many requests", code=_TOO_MANY_REQUESTS)
        limited.retry_after = _seconds(reply.retry_after)
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
        return Malformed(config.name, "the answer is no JSON-RPC")
    ours = type(answer.get("id")) is int and answer["id"] == request_id
    # Null is the id of an error the server could not tie to a request; the connection does.
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
    told: dict[int, list[dict[str, Any]]] = {}
    for item in answer:
        if isinstance(item, dict) and type(item.get("id")) is int:
            told.setdefault(item["id"], []).append(item)
    # geth answers a batch that is too large with one error, under the first question's id or under none.
    if len(answer) == 1 and count > 1 and isinstance(answer[0], dict) and answer[0].get("error") is not None:
        return _no_array(config, reply, answer[0])
    return [_item(config, told.get(number, [])) for number in range(first_id, first_id + count)]


def _no_array(config: NodeConfig, reply: _Reply, answer: Any) -> NodeError:
    """One object for many questions: an error about the batch as such, or a server that does not know batches."""
    if isinstance(answer, dict):
        error = _rpc_error(config, answer["error"]) if answer.get("error") is not None else None
        if isinstance(error, RateLimited | NodeTimeout):
            return error
        return BatchRefused(config.name, "answers a batch with one object" if error is None else error.detail)
    if reply.status in _REFUSED:
        return BatchRefused(config.name, f"HTTP {reply.status} to a batch")
    if reply.status != _OK:
        return Unreachable(config.name, f"HTTP {reply.status} without a JSON-RPC answer")
    return Malformed(config.name, "the answer is no JSON-RPC")


def _item(config: NodeConfig, told: list[dict[str, Any]]) -> Any | NodeError:
    if len(told) != 1:
        return Malformed(
            config.name, "a batch was answered in part" if not told else "one question has several answers"
        )
    (item,) = told
    if item.get("error") is not None:
        return _rpc_error(config, item["error"])
    return item["result"] if "result" in item else Malformed(config.name, "an answer without a result")


async def exchange(
    session: aiohttp.ClientSession, config: NodeConfig, request_id: int, method: str, params: list[Any], timeout: float
) -> Any:
    """The result of one call. Raises NodeError.

    The deadline of `timeout` seconds covers a repeat on a connection gone stale.
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
    """The result of each call, or its NodeError, in the order asked whatever the order answered.

    The ids are counted up from `first_id`. Raises NodeError where the exchange failed as a whole, BatchRefused where the
    node takes no such batch.
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
    session: aiohttp.ClientSession, config: NodeConfig, body: bytes, timeout: float, most: int = MAX_ANSWER_DEFAULT
) -> _Reply | NodeError:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    reply = await _post(session, config, body, timeout, most)
    # A server may close an idle connection in the moment we write to it. Repeating is harmless, even for a broadcast:
    # the bytes are the same, and "already known" is a success.
    if isinstance(reply, Unreachable) and any(f"({name})" in reply.detail for name in _STALE):
        reply = await _post(session, config, body, max(deadline - loop.time(), 0.001), most)
    return reply
