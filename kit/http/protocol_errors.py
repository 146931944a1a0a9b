"""What is answered before a request reaches the application: to bytes that are no HTTP, and to requests that no route takes."""

from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import hdrs, web
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, LineTooLong
from multidict import CIMultiDictProxy

from kit.http.problems import Problem
from kit.ids import RandomIds

SERVER: Final = "onramp"
"""The `Server` header of every answer. The library's own names the versions of Python and aiohttp, which helps only an attacker."""
MAX_LINE: Final = 8190
"""Bytes of a request's URL."""
MAX_FIELD: Final = 8192
"""Bytes of one header with its name. Differs from MAX_LINE so that the parser's error tells which of the two was too long."""
_TOO_MANY: Final = "Too many headers"
_IDS: Final = RandomIds()


def of_request(headers: CIMultiDictProxy[str]) -> Problem | None:
    """Why a request is refused for its headers alone, whatever its path; None for all others.

    A body may come as it is and in no other coding: one megabyte of gzip unpacks to a gigabyte, and this service's bodies are small.
    """
    if hdrs.CONTENT_ENCODING in headers:
        codings = [one.strip() for value in headers.getall(hdrs.CONTENT_ENCODING) for one in value.split(",")]
        if any(one and one.lower() != "identity" for one in codings):
            return Problem(
                415,
                "encoding_unsupported",
                "Send the body without Content-Encoding; compressed bodies are not accepted.",
                headers={"Accept-Encoding": "identity"},
            )
    if hdrs.TRANSFER_ENCODING in headers:
        codings = headers.getall(hdrs.TRANSFER_ENCODING)
        if len(codings) != 1 or codings[0].strip().lower() != "chunked":
            # RFC 9112, section 6.1, asks for 501 here.
            return Problem(501, "encoding_unsupported", "Of the transfer codings, only `chunked` is accepted.")
    return None


def of_status(status: int) -> Problem:
    """An error that the application did not make into a problem itself."""
    match status:
        case 404:
            return Problem(404, "not_found", "There is nothing at this address.")
        case 417:
            return Problem(417, "expectation_failed", "The Expect header may only say `100-continue`.")
        case 500:
            return Problem(500, "internal_error", "Something went wrong on our side.")
        case 504:
            return Problem(504, "timeout", "This took too long. Try again in a moment.")
        case _:
            return Problem(status, "http_error", f"The request was refused: {HTTPStatus(status).phrase}.")


def of_bytes(error: BaseException | None) -> Problem:
    """What the parser made of bytes that are no request. What was sent is never repeated: it may hold a token."""
    if isinstance(error, LineTooLong):
        if error.args[1] == MAX_LINE:
            return Problem(414, "uri_too_long", f"The address may be at most {MAX_LINE} bytes long.")
        return Problem(431, "headers_too_large", f"A header may be at most {MAX_FIELD} bytes long.")
    if isinstance(error, BadHttpMethod):
        return Problem(400, "malformed_request", "What was sent does not begin with a request of HTTP/1.1.")
    if isinstance(error, HttpProcessingError) and error.message.startswith(_TOO_MANY):
        return Problem(431, "headers_too_large", "The request has too many headers.")
    return Problem(400, "malformed_request", "What was sent is not a well-formed HTTP/1.1 request.")


LATE: Final = Problem(408, "request_timeout", "The request's headers did not arrive in time.")
OTHER_VERSION: Final = Problem(505, "http_version_unsupported", "This server speaks HTTP/1.1 and HTTP/1.0.")
TOO_MANY_HERE: Final = Problem(
    429,
    "too_many_connections",
    "Too many connections are open from your address. Close some, or use each for several requests.",
    headers={"Retry-After": "5"},
)
TOO_MANY: Final = Problem(
    503, "too_many_connections", "The service has too many connections open. Try again in a moment.", headers={"Retry-After": "2"}
)  # fmt: skip


def _headers(problem: Problem, request_id: str) -> dict[str, str]:
    return {
        "Content-Type": "application/problem+json",
        "X-Request-Id": request_id,
        "Server": SERVER,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **problem.headers,
    }


def response(problem: Problem, request_id: str | None = None) -> web.Response:
    """The problem as an answer that closes the connection after it."""
    number = request_id or _IDS.new("req_")
    answer = web.Response(
        body=orjson.dumps(problem.body(number)), status=problem.status, headers=_headers(problem, number)
    )
    answer.force_close()
    return answer


def written(problem: Problem) -> bytes:
    """The same as bytes, for a connection on which no request was read."""
    number = _IDS.new("req_")
    body = orjson.dumps(problem.body(number))
    fields = _headers(problem, number) | {"Content-Length": str(len(body)), "Connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n{lines}\r\n".encode() + body
