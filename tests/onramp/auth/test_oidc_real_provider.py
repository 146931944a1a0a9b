"""The login through a provider that others wrote, oidc-provider-mock on Authlib, in a process of its own."""

import asyncio
import json
import sys
from typing import Any

import aiohttp

from onramp.auth.oidc.service import identity_id
from onramp.dev.chain.anvil import free_port
from tests.support.console_browser_oidc import OidcBrowser, query_of, session_of
from tests.support.oidc_provider import settings
from tests.support.waiting import eventually


async def test_persons_of_a_real_provider_log_in_with_their_groups(start: Any) -> None:
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    persons = ({"sub": "u-ada", "name": "Ada", "groups": ["treasury"]}, {"sub": "u-eve", "name": "Ada", "groups": []})
    users = [part for person in persons for part in ("--user-claims", json.dumps(person))]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *users]
    command += ["--require-nonce", "true"]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    try:
        service = await start(**settings(issuer, OIDC_PERSONS="u-ada=ada"))

        async def answers() -> bool:
            try:
                async with asyncio.timeout(2), service.http.get(f"{issuer}/jwks") as response:
                    return bool(response.status == 200)
            except (OSError, aiohttp.ClientError):
                return False

        await eventually(answers)

        async def consented(url: str, sub: str) -> dict[str, str]:
            async with service.http.post(url, data={"sub": sub}, allow_redirects=False) as response:
                assert response.status == 302
                return query_of(response.headers["Location"])

        browser = OidcBrowser(service)
        answer = await consented(await browser.begin(), "u-ada")
        status, location, body = await browser.come_back(answer)
        assert (status, location) == (303, "/console"), body
        _, session = await session_of(browser)
        assert (session["person"], session["role"], session["method"]) == ("ada", "approver", "oidc")

        other = OidcBrowser(service)
        # The same state with the same code again, and a code that was used already in a new login.
        assert (await other.come_back(answer))[0] == 401
        used = await consented(await other.begin(), "u-ada")
        assert (await other.come_back(used | {"code": answer["code"]}))[0] == 401

        other = OidcBrowser(service)
        status, _, body = await other.come_back(await consented(await other.begin(), "u-eve"))
        assert status == 403 and "none of your groups" in body
        assert identity_id(issuer, "u-eve") not in body

        # A person who declines at the provider.
        url = await other.begin()
        async with service.http.post(url, data={"action": "deny"}, allow_redirects=False) as response:
            declined = query_of(response.headers["Location"])
        assert (await other.come_back(declined))[0] == 403
    finally:
        process.terminate()
        await process.wait()
