"""Exchange an API key for a console session."""

from typing import Final

from aiohttp import web

from kit.audit import service as audit_service
from kit.http.problems import Problem
from kit.http.routing import LIMITER
from onramp.auth.api_keys import second_factor
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.console_sessions import service as console_sessions_service
from onramp.auth.console_sessions.dependencies import ConsoleSessionServices
from onramp.auth.console_sessions.model import ConsoleSession
from onramp.auth.console_sessions.schemas import KeyLoginRequest
from onramp.auth.console_sessions.service import KeyLogin
from onramp.auth.roles import Principal

ANONYMOUS: Final = "anonymous"
"""The actor of the audit row about a refused login with an unknown key."""


async def log_in(
    request: web.Request, services: ConsoleSessionServices, body: KeyLoginRequest
) -> tuple[ConsoleSession, str]:
    """Check a key, and its code where it has a second factor; return the new session and its secret.

    Raises Problem 401 or 403 for a refused login, which is written to the audit trail.
    """
    key = body.key.strip()
    try:
        principal = await services.keys.resolve(key)
    except Problem as problem:
        await note_refused(services, await _owner(services, key), problem.code)
        raise
    if principal is None:
        limiter = request.app.get(LIMITER)
        if limiter is not None:
            await limiter.refused(request)
        await note_refused(services, ANONYMOUS, "unauthorized")
        raise _unknown_key()
    if principal.role == "dapp":
        await note_refused(services, principal.id, "forbidden")
        raise Problem(
            403,
            "forbidden",
            "This key is a dApp's: it creates and lists purchases, and opens no console. Use your own key.",
        )
    await _check_code(services, principal, body.code)
    return await _begin(services, key)


async def _begin(services: ConsoleSessionServices, key: str) -> tuple[ConsoleSession, str]:
    session_id, secret = services.ids.new("cs_"), console_sessions_service.new_secret()
    candidates = api_keys_service.hashes(services.ring, key)
    async with services.database.write() as conn:
        now = services.clock.now()
        # Read again: the key may have been revoked since the authenticator read it.
        found = await api_keys_service.resolve(conn, candidates, now)
        secret_hash = next((candidate for candidate in candidates if candidate in found), None)
        if secret_hash is None:
            raise _unknown_key()
        login = KeyLogin(found[secret_hash].principal.id, secret_hash)
        await console_sessions_service.begin(conn, session_id, secret, login, services.ring, now)
        session = await console_sessions_service.get(conn, session_id, services.persons, now)
    assert session is not None, "a session is valid when it begins"
    return session, secret


async def _check_code(services: ConsoleSessionServices, principal: Principal, code: str | None) -> None:
    if not principal.second_factor:
        return
    if not code:
        # No audit row: the login page asks for the code by this refusal.
        raise Problem(
            401,
            "otp_required",
            "This key has a second factor: log in with its code.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    async with services.database.write() as conn:
        outcome = await second_factor.use(conn, principal.id, code, services.ring, services.clock.now())
    if outcome != "accepted":
        await note_refused(services, principal.id, "otp_invalid")
        raise second_factor.refusal(outcome)


async def _owner(services: ConsoleSessionServices, key: str) -> str:
    """Return the id of the key with this secret, which does not work yet."""
    candidates = api_keys_service.hashes(services.ring, key)
    async with services.database.read() as conn:
        found = await api_keys_service.resolve(conn, candidates, services.clock.now())
    return next((owner.principal.id for owner in found.values()), ANONYMOUS)


async def note_refused(services: ConsoleSessionServices, actor: str, code: str) -> None:
    """Write an audit row for a refused login: one a minute for each actor and code, so that nobody can fill the audit trail."""
    if services.refusals.admit((actor, code)) is None:
        return
    async with services.database.write() as conn:
        await audit_service.record(
            conn, actor, "console.login_refused", "console", None, {"code": code}, at=services.clock.now()
        )


def _unknown_key() -> Problem:
    return Problem(
        401,
        "unauthorized",
        "This key is unknown or revoked. No session was begun; check what was pasted, or ask an admin for a key.",
        headers={"WWW-Authenticate": "Bearer"},
    )
