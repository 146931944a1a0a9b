"""A browser that logs in to the console through a provider."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from onramp.auth.console_sessions.cookie import COOKIE
from onramp.auth.oidc.routes import COOKIE as LOGIN_COOKIE
from tests.support.console_browser import ConsoleBrowser
from tests.support.oidc_provider import OidcProvider

LOGIN = "/console/oidc/login"
CALLBACK = "/console/oidc/callback"


class OidcBrowser(ConsoleBrowser):
    """One browser. `waiting` is the cookie of a login that it has begun."""

    waiting: str | None = None

    async def begin(self, **headers: str) -> str:
        """Begin a login and return the address at the provider."""
        status, location, body = await self.visit(LOGIN, **headers)
        assert status == 303, body
        return location

    async def come_back(self, query: dict[str, str], **headers: str) -> tuple[int, str, str]:
        """Follow the provider's redirect; return status, Location and body."""
        return await self.visit(f"{CALLBACK}?{urlencode(query)}", **headers)

    async def log_in_through(self, provider: OidcProvider) -> tuple[int, str, str]:
        """Go the whole way, and return the answer of the callback."""
        url = await self.begin()
        return await self.come_back({"code": provider.authorize(url), "state": state_of(url)})

    async def visit(self, path: str, **headers: str) -> tuple[int, str, str]:
        sent = {"Accept": "text/html", "Sec-Fetch-Site": "cross-site", **headers}
        if self.waiting is not None:
            sent["Cookie"] = f"{LOGIN_COOKIE}={self.waiting}"
        async with self.service.http.get(self.service.api + path, headers=sent, allow_redirects=False) as response:
            if (morsel := response.cookies.get(LOGIN_COOKIE)) is not None:
                self.waiting = morsel.value or None
                self.set_login_cookie = morsel.OutputString()
            if (morsel := response.cookies.get(COOKIE)) is not None:
                self.cookie, self.set_cookie = morsel.value or None, morsel.OutputString()
            return response.status, response.headers.get("Location", ""), await response.text()


def state_of(url: str) -> str:
    return query_of(url)["state"]


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def session_of(browser: ConsoleBrowser) -> tuple[int, Any]:
    return await browser.ask("GET", "/api/v1/console/sessions/current")
