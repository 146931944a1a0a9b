"""Whether every problem that a service answers is one that its route declares."""

import json
import re

from aiohttp import web

from kit.http.openapi import SERVER_CODES, problem_codes
from kit.http.routing import route_of
from onramp.ops.openapi import SECURITY


class DeclaredProblems:
    """Watches the responses of an application that has not started yet."""

    def __init__(self, app: web.Application) -> None:
        self._undeclared: set[str] = set()
        app.on_response_prepare.append(self._watch)

    async def _watch(self, request: web.Request, response: web.StreamResponse) -> None:
        route = route_of(request)
        if (
            route is None
            or response.content_type != "application/problem+json"
            or not isinstance(response, web.Response)
        ):
            return
        assert isinstance(response.body, bytes)
        code, status = json.loads(response.body)["code"], response.status
        declared = problem_codes(route, SECURITY).get(status, ())
        pattern = route.foreign_codes.get(status)
        if code in {*declared, *SERVER_CODES} or (pattern is not None and re.search(pattern, code)):
            return
        self._undeclared.add(f"{route.method} {route.path}: {status} {code}")

    def check(self) -> None:
        """Fail if a problem was answered that its route does not declare."""
        assert not self._undeclared, f"add them to `codes` of their routes: {sorted(self._undeclared)}"
