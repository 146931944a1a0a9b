"""One JSON-RPC exchange over HTTP, bounded in time and size; whatever comes back is an answer or a `NodeError`.

An error is raised only after aiohttp's own exception has been left behind: theirs carry the URL, and the URL holds the
key.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson

from chain.errors import Malformed, NodeError, NodeTimeout, RateLimited, Unreachable, classify
from chain.nodes import NodeConfig
from kit.logs import redact

MAX_BODY = 10 * 1024 * 1024
_MAX_DETAIL = 300
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_OK = 200
_REDIRECTS = range(300, 400)
_TOO_MANY_REQUESTS = 429
_LONGEST_WAIT = 3600.0
_STALE = ("ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError")


@dataclass(frozen=True, slots=True)
class _Reply:
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
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else None  # noqa: PLR0124 - "nan" parses as a float


def _told(config: NodeConfig, text: object) -> str:
    return redact(config.scrub(str(text)))[:_MAX_DETAIL]


async def _post(session: aiohttp.ClientSession, config: NodeConfig, body: bytes, timeout: float) -> _Reply | NodeError:
    try:
        async with session.post(
            config.url,
            data=body,
            headers=_HEADERS,
            allow_redirects=False,
            raise_for_status=False,
            timeout=aiohttp.ClientTimeout(total=timeout),
        ) as response:
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.content.iter_chunked(65536):
                size += len(chunk)
                if size > MAX_BODY:
                    return Malformed(config.name, f"the answer is larger than {MAX_BODY} bytes")
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
    message = _told(config, error.get("message", ""))
    data = error.get("data")
    kind = classify(code, str(error.get("message", "")))
    return kind(
        config.name, message or "an error without a message", code=code, data=data if isinstance(data, str) else None
    )


def _read(config: NodeConfig, reply: _Reply, request_id: int) -> Any | NodeError:
    if reply.status == _TOO_MANY_REQUESTS:
        limited = RateLimited(config.name, "too many requests", code=_TOO_MANY_REQUESTS)
        limited.retry_after = _seconds(reply.retry_after)
        return limited
    if reply.status in _REDIRECTS:
        return Unreachable(config.name, f"answers with a redirect (HTTP {reply.status}), which is not followed")
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        if reply.status != _OK:
            return Unreachable(config.name, f"HTTP {reply.status} without a JSON-RPC answer")
        return Malformed(config.name, "the answer is no JSON-RPC")
    # Null is the id of an error the server could not tie to a request; the connection does.
    if answer.get("error") is not None and answer.get("id") in {request_id, None}:
        return _rpc_error(config, answer["error"])
    if reply.status != _OK:
        return Unreachable(config.name, f"HTTP {reply.status} without a JSON-RPC answer")
    if type(answer.get("id")) is not int or answer["id"] != request_id or "result" not in answer:
        return Malformed(config.name, "the answer belongs to another request")
    return answer["result"]


async def exchange(
    session: aiohttp.ClientSession, config: NodeConfig, request_id: int, method: str, params: list[Any], timeout: float
) -> Any:
    """The result of one call. Raises NodeError.

    The deadline of `timeout` seconds covers a repeat on a connection gone stale.
    """
    body = orjson.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    reply = await _post(session, config, body, timeout)
    # A server may close an idle connection in the moment we write to it. Repeating is harmless, even for a broadcast:
    # the bytes are the same, and "already known" is a success.
    if isinstance(reply, Unreachable) and any(f"({name})" in reply.detail for name in _STALE):
        reply = await _post(session, config, body, max(deadline - loop.time(), 0.001))
    outcome = reply if isinstance(reply, NodeError) else _read(config, reply, request_id)
    if isinstance(outcome, NodeError):
        raise outcome
    return outcome
