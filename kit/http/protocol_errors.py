"""Problems answered below the application: for bytes that are not HTTP, for requests that no route may see, and for too many connections."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, LineTooLong
from multidict import CIMultiDictProxy

from kit.http.problems import Problem
from kit.ids import RandomIds

MAX_LINE: Final = 8190
"""The most bytes of a request's URL."""
MAX_FIELD: Final = 8192
"""The most bytes of one header with its name. It differs from MAX_LINE so that the parser's error shows which of the two was exceeded."""
_TOO_MANY_HEADERS: Final = "Too many headers"


@dataclass(frozen=True, slots=True)
class Identity:
    """The texts by which the server identifies itself to clients."""

    server: str
    """The `Server` header. aiohttp's own names the versions of Python and aiohttp, which helps only attackers."""
    problem_types: str
    """The prefix of the `type` of every problem, such as `urn:onramp:problem:`."""


def header_problem(headers: CIMultiDictProxy[str]) -> Problem | None:
    """Return the problem for which a request is refused for its headers alone, whatever its path; None if they are acceptable.

    Compressed bodies are refused: one megabyte of gzip unpacks to a gigabyte, and the bodies of this API are small.
    """
    if hdrs.CONTENT_ENCODING in headers:
        codings = [item.strip() for value in headers.getall(hdrs.CONTENT_ENCODING) for item in value.split(",")]
        if any(coding and coding.lower() != "identity" for coding in codings):
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
            return Problem(501, "encoding_unsupported", "The only accepted transfer coding is `chunked`.")
    return None


def status_problem(status: int) -> Problem:
    """Return the problem for an HTTP error that the application has not turned into a problem itself."""
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


def parser_problem(error: BaseException | None) -> Problem:
    """Return the problem for bytes that the HTTP parser rejected. It never repeats the bytes: they may contain a token."""
    if isinstance(error, LineTooLong):
        if error.args[1] == MAX_LINE:
            return Problem(414, "uri_too_long", f"The address may be at most {MAX_LINE} bytes long.")
        return Problem(431, "headers_too_large", f"A header may be at most {MAX_FIELD} bytes long.")
    if isinstance(error, BadHttpMethod):
        return Problem(400, "malformed_request", "The data does not begin with an HTTP/1.1 request.")
    if isinstance(error, HttpProcessingError) and error.message.startswith(_TOO_MANY_HEADERS):
        return Problem(431, "headers_too_large", "The request has too many headers.")
    return Problem(400, "malformed_request", "The data is not a well-formed HTTP/1.1 request.")


LATE: Final = Problem(408, "request_timeout", "The request's headers did not arrive in time.")
OTHER_VERSION: Final = Problem(505, "http_version_unsupported", "This server speaks HTTP/1.1 and HTTP/1.0.")
TOO_MANY_OF_CLIENT: Final = Problem(
    429,
    "too_many_connections",
    "Too many connections are open from your address. Close some, or use each for several requests.",
    headers={"Retry-After": "5"},
)
TOO_MANY: Final = Problem(
    503,
    "too_many_connections",
    "The service has too many connections open. Try again in a moment.",
    headers={"Retry-After": "2"},
)


class ErrorResponses:
    """Writes problems as responses; the connection is closed after each."""

    def __init__(self, identity: Identity) -> None:
        self.server = identity.server
        self._problem_types = identity.problem_types
        self._ids = RandomIds()

    def response(self, problem: Problem) -> web.Response:
        """Return the problem as a response to a request that was read."""
        request_id = self._ids.new("req_")
        body = problem.document(request_id, self._problem_types)
        response = web.Response(body=body, status=problem.status, headers=self._headers(problem, request_id))
        response.force_close()
        return response

    def raw(self, problem: Problem) -> bytes:
        """Return the bytes of the response, for a connection on which no request was read."""
        request_id = self._ids.new("req_")
        body = problem.document(request_id, self._problem_types)
        headers = self._headers(problem, request_id) | {"Content-Length": str(len(body)), "Connection": "close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n{lines}\r\n".encode() + body

    def _headers(self, problem: Problem, request_id: str) -> dict[str, str]:
        return {
            "Content-Type": "application/problem+json",
            "X-Request-Id": request_id,
            "Server": self.server,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **problem.headers,
        }
