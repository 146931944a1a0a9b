"""Call the running service over HTTP: ONRAMP_API_KEY is the key to use, ONRAMP_API_URL the service's URL."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from onramp.cli.output import CommandError, run, settings

if TYPE_CHECKING:
    from onramp.config.settings import Settings

SECONDS = 30.0


class ServiceUnreachableError(CommandError):
    """The service does not answer."""


def api_base(loaded: "Settings") -> str:
    """Return the service's URL without a trailing slash."""
    return (loaded.ONRAMP_API_URL or loaded.local_url).rstrip("/")


def call(
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    query: Mapping[str, object] | None = None,
    otp: str = "",
    authorised: bool = True,
    base: str = "",
) -> Any:
    """Call the service and return the JSON of its response. Empty values of `query` are left out.

    Raises CommandError with the service's problem code and detail if it refuses, and ServiceUnreachableError if it cannot be reached.
    """
    loaded = settings()
    key = loaded.ONRAMP_API_KEY.get_secret_value()
    if authorised and not key:
        raise CommandError("onramp: this command acts as you: set ONRAMP_API_KEY to your API key. Nothing was changed.")
    headers = {"X-OTP": otp} if otp else {}
    if authorised:
        headers["Authorization"] = f"Bearer {key}"
    service, source = (base, "the link") if base else (api_base(loaded), "ONRAMP_API_URL")
    parameters = urlencode({name: value for name, value in (query or {}).items() if value})
    url = f"{service}{path}?{parameters}" if parameters else service + path
    status, document = run(_request(method, url, body, headers))
    if document is None:
        raise ServiceUnreachableError(f"onramp: the service at {service} does not answer. Is {source} right?")
    if status < 300:
        return document
    problem = document if isinstance(document, dict) else {}
    code, detail = problem.get("code", f"http_{status}"), problem.get("detail", "The service refused.")
    if authorised and code == "unauthorized":
        detail = f"{service} does not know the key in ONRAMP_API_KEY, or it is revoked or replaced."
    raise CommandError(f"onramp: {code}: {detail}")


async def _request(method: str, url: str, body: dict[str, Any] | None, headers: dict[str, str]) -> tuple[int, Any]:
    """Return the response's status and JSON, {} for an empty one; (0, None) without a response in JSON."""
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as http,
            http.request(method, url, json=body, headers=headers, allow_redirects=False) as response,
        ):
            return response.status, {} if response.status == 204 else await response.json(content_type=None)
    except (aiohttp.ClientError, ValueError, TimeoutError):
        return 0, None
