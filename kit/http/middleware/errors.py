"""Turn every error of a handler into a problem document, and log those that are our fault."""

from aiohttp import web
from aiohttp.typedefs import Handler

from kit.clock import SystemClock
from kit.db.database import is_unavailable, reason_of
from kit.entry_limiter import EntryLimiter
from kit.http.problems import Problem
from kit.http.routing import ROUTE
from kit.logs import get_logger

log = get_logger(__name__)
_TIMEOUT = Problem(
    503,
    "timeout",
    "This took too long; it may still be done. Try again with the same key.",
    headers={"Retry-After": "2"},
)
_DATABASE_UNAVAILABLE = Problem(
    503,
    "database_unavailable",
    "The service cannot reach its database right now. Try again in a moment, with the same key if you sent one.",
    headers={"Retry-After": "2"},
)
_INTERNAL_ERROR = Problem(
    500, "internal_error", "Something went wrong on our side. Trying again loses nothing of what you sent."
)


class ErrorHandler:
    """Calls a handler, and answers with a problem document if it raises."""

    def __init__(self, type_prefix: str) -> None:
        """Create a handler of errors; `type_prefix` begins the `type` of every problem, such as `urn:onramp:problem:`."""
        self._type_prefix = type_prefix
        # While the database is unavailable every request fails; one log line a minute is enough.
        self._log_limit = EntryLimiter(SystemClock())

    async def call(self, request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
        """Return the handler's response, or the problem document for the error that it raised. aiohttp's redirects are raised again."""
        try:
            return await handler(request)
        except Problem as problem:
            return self._response(problem, request_id)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return self._response(_of_http_error(error), request_id)
        except TimeoutError:
            log.warning("http.timeout", method=request.method)
            return self._response(_TIMEOUT, request_id)
        except Exception as error:
            if is_unavailable(error):
                if self._log_limit.admit(type(error).__name__) is not None:
                    log.error("http.database_unavailable", method=request.method, reason=reason_of(error))
                return self._response(_DATABASE_UNAVAILABLE, request_id)
            log.exception("http.unexpected", method=request.method, route=getattr(request.get(ROUTE), "path", None))
            return self._response(_INTERNAL_ERROR, request_id)

    def _response(self, problem: Problem, request_id: str) -> web.Response:
        return web.Response(
            body=problem.document(request_id, self._type_prefix),
            status=problem.status,
            content_type="application/problem+json",
            headers=dict(problem.headers),
        )


def _of_http_error(error: web.HTTPException) -> Problem:
    match error.status:
        case 404:
            return Problem(404, "not_found", "There is nothing at this address.")
        case 405:
            allowed = error.headers.get("Allow", "")
            return Problem(405, "method_not_allowed", f"Use one of: {allowed}.", headers={"Allow": allowed})
        case 413:
            return Problem(413, "body_too_large", "The body is too large.")
        case status:
            return Problem(status, "http_error", error.reason or "The request could not be served.")
