"""What a command asks of the running service: `ONRAMP_API_KEY` says who asks, `ONRAMP_API_URL` where."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from onramp.cli.output import CommandError, run, settings

if TYPE_CHECKING:
    from onramp.config.settings import Settings

SECONDS = 30.0


def api_base(loaded: "Settings") -> str:
    """Where the service is, as the environment says."""
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
    """The answer's JSON; a refusal is the command's refusal, in the service's own words. What is empty in `query` is not asked."""
    loaded = settings()
    key = loaded.ONRAMP_API_KEY.get_secret_value()
    if authorised and not key:
        raise CommandError("onramp: this acts as you: set ONRAMP_API_KEY to your API key. Nothing was changed.")
    headers = {"X-OTP": otp} if otp else {}
    if authorised:
        headers["Authorization"] = f"Bearer {key}"
    where, named_by = (base, "the link") if base else (api_base(loaded), "ONRAMP_API_URL")
    asked = urlencode({name: value for name, value in (query or {}).items() if value})
    answered, document = run(_ask(method, f"{where}{path}?{asked}" if asked else where + path, body, headers))
    if document is None:
        raise CommandError(f"onramp: the service at {where} does not answer. Is {named_by} right?")
    if answered < 300:
        return document
    told = document if isinstance(document, dict) else {}
    code, detail = told.get("code", f"http_{answered}"), told.get("detail", "The service refused.")
    if authorised and code == "unauthorized":
        detail = f"{where} does not know the key in ONRAMP_API_KEY, or it is revoked or replaced."
    raise CommandError(f"onramp: {code}: {detail}")


async def _ask(method: str, url: str, body: dict[str, Any] | None, headers: dict[str, str]) -> tuple[int, Any]:
    """The answer's status and JSON; None where nothing speaks JSON there."""
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as http,
            http.request(method, url, json=body, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status, await answer.json(content_type=None)
    except (aiohttp.ClientError, ValueError, TimeoutError):
        return 0, None
