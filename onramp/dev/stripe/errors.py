"""Error responses in Stripe's format."""

from collections.abc import Mapping

import orjson
from aiohttp import web


class StripeError(Exception):
    """An error response; `code` and `param` may be absent, as in Stripe's own."""

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        detail = {"type": kind, "message": message}
        if code is not None:
            detail["code"] = code
        if param is not None:
            detail["param"] = param
        self.body = orjson.dumps({"error": detail})

    def response(self) -> web.Response:
        """Return the error as an HTTP response in Stripe's format."""
        return web.Response(status=self.status, body=self.body, content_type="application/json", headers=self.headers)


def bad(code: str | None, message: str, param: str | None = None) -> StripeError:
    """Return the error of a 400 response."""
    return StripeError(400, code, message, param=param)


def unknown_parameter(name: str) -> StripeError:
    """Return the error for a parameter that the endpoint does not have."""
    return bad("parameter_unknown", f"Received unknown parameter: {name}", name)
