"""Register the development receiver as an endpoint of the running service, with the routes that an admin uses."""

from pathlib import Path
from typing import Any, Final

import aiohttp

BASE: Final = "/api/v1/admin/webhooks"
_SECONDS: Final = 30


class RegistrationError(Exception):
    """The service refused the receiver; the text is its answer."""


async def register_receiver(api: str, admin: str, url: str, file: Path) -> str:
    """Make the service send every event to `url`; return the secret. `file` keeps the endpoint's id for the next run on the same data."""
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    headers = {"Authorization": f"Bearer {admin}"}
    async with aiohttp.ClientSession(base_url=api, headers=headers, timeout=timeout) as http:
        if file.is_file():
            path = f"{BASE}/{file.read_text(encoding='utf-8')}"
            if await _call(http, "PATCH", path, {"url": url, "events": ["*"], "status": "enabled"}):
                endpoint = await _call(http, "POST", f"{path}/rotate", {"overlapSeconds": 0})
                return str((endpoint or {})["secret"])
        endpoint = await _call(http, "POST", BASE, {"url": url, "events": ["*"]})
        if endpoint is None:
            raise RegistrationError("The service has no routes for webhooks.")
        file.write_text(endpoint["id"], encoding="utf-8")
        return str(endpoint["secret"])


async def _call(http: aiohttp.ClientSession, method: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the response, None for 404. Raises RegistrationError for any other refusal."""
    async with http.request(method, path, json=body) as response:
        if response.status == 404:
            return None
        if response.status >= 300:
            raise RegistrationError(f"The service refused the webhook receiver: {await response.text()}")
        answer: dict[str, Any] = await response.json()
        return answer
