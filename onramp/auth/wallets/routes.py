"""The login of wallets over HTTP."""

import secrets
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from chain.errors import ChainError
from chain.signatures.bitcoin import looks_bitcoin
from chain.signatures.verify import WalletSignatureInvalid, claimed_account, verify
from kit.clock import rfc3339
from kit.http.documents import reply
from kit.http.parsing import body_of
from kit.http.problems import Problem
from kit.http.routing import Route
from onramp.auth.roles import principal_of
from onramp.auth.wallets import schemas
from onramp.auth.wallets import service as wallets_service
from onramp.auth.wallets.dependencies import LOGIN
from onramp.auth.wallets.message import Message, MessageError, check, nonce_in, parse, render
from onramp.config.settings import Settings

NONCE_LIFETIME: Final = timedelta(minutes=10)
STATEMENT: Final = "Log in to see your MUSD purchases. This moves no money."


def origin_of(given: str | None, settings: Settings) -> str:
    """Return the site that the message names: the page's own origin if it is allowed, else the first allowed one."""
    allowed = settings.origins
    if given is not None and (given in allowed or ("*" in allowed and given.startswith(("http://", "https://")))):
        return given
    exact = [origin for origin in allowed if origin != "*"]
    if exact:
        return exact[0]
    if settings.is_production:
        raise Problem(503, "login_unavailable", "Wallets cannot log in here: ALLOWED_ORIGINS names no site.")
    return settings.local_url


async def nonce(request: web.Request) -> web.StreamResponse:
    """Store a nonce and return the message to sign, which contains it."""
    services = request.app[LOGIN]
    body = body_of(request, schemas.AskNonce)
    origin = origin_of(request.headers.get("Origin"), services.settings)
    now = services.clock.now().replace(microsecond=0)
    bitcoin = looks_bitcoin(body.address)
    message = Message(
        domain=urlsplit(origin).netloc,
        network="Bitcoin" if bitcoin else "Ethereum",
        address=body.address,
        statement=STATEMENT,
        uri=origin,
        chain_id=None if bitcoin else services.settings.CHAIN_ID,
        nonce=secrets.token_hex(16),
        issued_at=rfc3339(now),
        expires_at=rfc3339(now + NONCE_LIFETIME),
    )
    waiting = wallets_service.Waiting(body.address, origin, now + NONCE_LIFETIME)
    async with services.database.write() as conn:
        await wallets_service.remember(conn, message.nonce, waiting)
    return reply(
        schemas.NonceResponse(nonce=message.nonce, message=render(message), expires_at=rfc3339(waiting.expires_at))
    )


def refused(reason: str) -> Problem:
    """Return the Problem for a failed login, whose nonce is used up."""
    return Problem(401, "signature_invalid", reason, headers={"WWW-Authenticate": "Bearer"})


async def login(request: web.Request) -> web.StreamResponse:
    """Check a signed message and return a token; the nonce is used up whether or not the login succeeds."""
    services = request.app[LOGIN]
    body = body_of(request, schemas.Login)
    named = nonce_in(body.message)
    read = _read(body.message)
    burnt = None if named is None else await wallets_service.burn(services.database, named, _account(read))
    now = services.clock.now()
    try:
        if isinstance(read, MessageError):
            raise read
        if burnt is None or read.nonce != named or burnt.waiting.expires_at < now:
            raise MessageError("This nonce is unknown, used or expired: ask for a new message.")
        waiting = burnt.waiting
        if read.address != waiting.address:
            raise MessageError("The message is for another address than its nonce was given to.")
        check(read, origin=waiting.origin, chain_id=services.settings.CHAIN_ID, now=now, lifetime=NONCE_LIFETIME)
        signer = await verify(services.pool, read.address, body.message, body.signature)
    except (MessageError, WalletSignatureInvalid) as error:
        raise refused(str(error)) from error
    except ChainError as error:
        raise Problem(
            503,
            "chain_unavailable",
            "The nodes cannot say just now whether this wallet's contract accepts the signature. Ask for a new message in a moment.",
            headers={"Retry-After": "5"},
        ) from error
    token, until = services.tokens.sign(signer.account, burnt.version)
    return reply(schemas.LoginResponse(token=token, expires_at=rfc3339(until), address=signer.account))


def _read(text: str) -> Message | MessageError:
    try:
        return parse(text)
    except MessageError as error:
        return error


def _account(read: Message | MessageError) -> str:
    """Return the account whose logouts count if the signature is valid; empty if the address cannot be valid."""
    try:
        return "" if isinstance(read, MessageError) else claimed_account(read.address)
    except ValueError:
        return ""


async def logout(request: web.Request) -> web.StreamResponse:
    """End every token of the calling wallet and return its address."""
    address = principal_of(request).id
    await request.app[LOGIN].tokens.log_out(address)
    return reply(schemas.LogoutResponse(address=address))


ROUTES = (
    Route(
        "POST",
        "/api/v1/auth/nonce",
        nonce,
        access="anyone",
        summary="A message for a wallet to sign, good once, for ten minutes.",
        name="nonce",
        body=schemas.AskNonce,
        response=schemas.NonceResponse,
        limit=4096,
        responses={503: "`login_unavailable`: no site is configured."},
        codes={503: ("login_unavailable",)},
    ),
    Route(
        "POST",
        "/api/v1/auth/login",
        login,
        access="anyone",
        summary="A signed message in, a token out.",
        name="login",
        body=schemas.Login,
        response=schemas.LoginResponse,
        responses={401: "`signature_invalid`, with the reason; the nonce is used up.", 503: "`chain_unavailable`."},
        codes={401: ("signature_invalid",), 503: ("chain_unavailable",)},
    ),
    Route(
        "POST",
        "/api/v1/auth/logout",
        logout,
        access="wallet",
        summary="End every token of this wallet.",
        name="logout",
        response=schemas.LogoutResponse,
    ),
)
