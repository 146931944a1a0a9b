"""A browser for the console's API: it keeps the session cookie, and sends the headers that a page of the console sends."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from onramp.auth.console_sessions.cookie import CONSOLE_HEADER, COOKIE
from tests.support.api_keys import create_key

SESSIONS: Final = "/api/v1/console/sessions"


class ConsoleBrowser:
    """One browser. `cookie` is the secret it keeps, None before a login; `headers` are sent with every request."""

    def __init__(self, service: Any, *, origin: str | None = None) -> None:
        self.service = service
        self.cookie: str | None = None
        self.set_cookie = ""
        self.headers = {
            "Origin": origin or service.api,
            "Sec-Fetch-Site": "same-origin",
            CONSOLE_HEADER: "1",
        }

    async def log_in(self, key: str, code: str | None = None) -> tuple[int, Any]:
        return await self.ask("POST", SESSIONS, {"key": key, "code": code})

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        without: Collection[str] = (),
    ) -> tuple[int, Any]:
        """Send a request; `headers` replace those of the console, and `without` are left out."""
        sent = {name: value for name, value in self.headers.items() if name not in without}
        sent |= headers or {}
        if self.cookie is not None:
            sent["Cookie"] = f"{COOKIE}={self.cookie}"
        more = {} if body is None else {"json": body}
        async with self.service.http.request(method, self.service.api + path, headers=sent, **more) as response:
            morsel = response.cookies.get(COOKIE)
            if morsel is not None:
                self.cookie, self.set_cookie = morsel.value or None, morsel.OutputString()
            return response.status, await response.json(content_type=None)


async def logged_in(service: Any, role: Any, person: str) -> tuple[ConsoleBrowser, str, str]:
    """Return a browser with a session of a new key, the key's id and its secret."""
    key_id, secret = await create_key(service.database, role, person)
    browser = ConsoleBrowser(service)
    status, session = await browser.log_in(secret)
    assert status == 201, session
    return browser, key_id, secret
