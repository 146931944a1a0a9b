"""Error bodies as Stripe writes them."""

from collections.abc import Mapping

import orjson
from aiohttp import web


class StripeError(Exception):
    """An error reply; `code` and `param` may be absent, as with Stripe."""

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
        """As Stripe would answer."""
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {
            "error": {"type": kind, "message": message}
            | ({"code": code} if code else {})
            | ({"param": param} if param else {})
        }

    def response(self) -> web.Response:
        """The reply."""
        return web.Response(
            status=self.status, body=orjson.dumps(self.body), content_type="application/json", headers=self.headers
        )


def bad(code: str, message: str, param: str | None = None) -> StripeError:
    """A 400."""
    return StripeError(400, code, message, param=param)
