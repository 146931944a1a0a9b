"""The OpenAPI document of this service: its security schemes, which problems each kind of access may answer, and its types in TypeScript."""

from collections.abc import Mapping
from typing import Any, Final

from kit.http.code_samples import add_code_samples
from kit.http.examples import add_examples
from kit.http.openapi import AccessRule, Codes, Security, document
from kit.http.routing import ANYONE, Access, Route
from kit.http.typescript import declarations
from kit.http.webhook_documents import add_webhooks
from onramp import __version__
from onramp.auth.console_sessions.cookie import CONSOLE_ACCESS, COOKIE
from onramp.auth.passkeys.refusals import SIGNATURE_CODES
from onramp.auth.roles import KEY_ROLES, takes_code
from onramp.hooks.event_data import DATA_MODELS
from onramp.ops.example_values import VALUES

TITLE: Final = "Onramp"
DESCRIPTION: Final = "Sells MUSD for a card payment, and proves on chain that it arrived."
_SCHEMES: Final = {
    "wallet": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From /api/v1/auth/login."},
    "operator": {"type": "http", "scheme": "bearer", "description": "An API key, `ork_...`."},
    "console": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "A session of the console."},
    "stripe": {
        "type": "apiKey",
        "in": "header",
        "name": "Stripe-Signature",
        "description": "Stripe's webhook signature.",
    },
    "metrics": {"type": "http", "scheme": "bearer", "description": "METRICS_TOKEN, if it is set."},
}
_KEY_REFUSED: Final = {401: ("unauthorized",), 403: ("forbidden", "key_not_active")}
_CONSOLE_REFUSED: Final = {
    401: ("unauthorized", "session_ended"),
    403: ("forbidden", "key_not_active", "cross_site", "https_required"),
}
_RULES: Final[dict[Access, AccessRule]] = {
    ANYONE: AccessRule(),
    "wallet": AccessRule([{"wallet": []}], _KEY_REFUSED),
    "purchases": AccessRule([{"wallet": []}, {"operator": list(KEY_ROLES)}], _KEY_REFUSED),
    "stripe": AccessRule([{"stripe": []}]),
    "metrics": AccessRule([{"metrics": []}], {401: ("unauthorized",)}),
    "dapp": AccessRule([{"operator": ["dapp"]}], _KEY_REFUSED),
    **{role: AccessRule([{"operator": [role]}, {"console": []}], _CONSOLE_REFUSED) for role in CONSOLE_ACCESS},
}
_CODE: Final = {"X-OTP": "A code of the key's second factor, if it has one; each works once. A dry run needs none."}
_PASSKEY: Final = {
    "X-Passkey": 'In place of a code: base64url of `{"challenge", "credential"}`, a passkey\'s signature over the plan of this command.'
}

_BASE: Final = "https://pay.example"
"""The URL of the service in code samples."""
_BEARER: Final = {"operator": "ONRAMP_API_KEY", "wallet": "WALLET_TOKEN", "metrics": "METRICS_TOKEN"}
"""Security scheme -> the environment variable from which code samples take the bearer token."""
_TAGS: Final = {
    "Purchases": ("/api/v1/onramp/", "What a dApp calls: quotes, sessions, deliveries, receipts."),
    "Wallet login": ("/api/v1/auth/", "A message to sign, and a token that shows a wallet its own purchases."),
    "Stripe": ("/api/v1/webhooks/", "What Stripe calls."),
    "Treasury": (
        "/api/v1/treasury/",
        "What operators and approvers call: the hot wallet, payouts, sweeps, the ledger.",
    ),
    "Passkeys": ("/api/v1/passkeys", "Passkeys, and the plans that they sign."),
    "API keys": ("/api/v1/admin/", "Keys, invitations and second factors."),
    "Console": ("/api/v1/console/", "Logging in to the console, and its sessions."),
    "Operations": (
        "/api/v1/",
        "What operators look at: what is wrong now, purchases, events, alarms, notifications, nodes.",
    ),
    "Pages and operations": ("/", "Health, metrics, pages and files."),
}
"""Tag -> the beginning of its paths, and its description. The first that fits counts."""

_WEBHOOK: Final = (
    "Sent at least once to each endpoint that subscribes to it, in no promised order: the `data` of a session has a `version`, so ignore one"
    " with a smaller version than you have. Verify the signature over the body as it arrived (Standard Webhooks)."
)

CLIENT_ROUTES: Final = ("/api/v1/onramp/", "/api/v1/auth/")
"""The beginnings of the paths that the client in `client/` calls."""
_TYPESCRIPT_HEAD: Final = """/** The types of the service's routes. Written by `make docs` from the route table: do not edit. */

"""


def _headers(route: Route) -> Mapping[str, str]:
    return {**(_CODE if takes_code(route) else {}), **(_PASSKEY if route.signed_action else {})}


def _codes(route: Route) -> Mapping[int, Codes]:
    codes: dict[int, Codes] = {}
    if takes_code(route):
        codes[401] = ("otp_required", "otp_invalid")
        codes |= {403: ("second_factor_required", "person_unknown")} if route.access in CONSOLE_ACCESS else {}
    if route.signed_action:
        codes |= {401: (*codes.get(401, ()), *SIGNATURE_CODES), 409: ("plan_changed", "passkeys_unavailable")}
    return codes


def _is_limited(route: Route) -> bool:
    return route.path.startswith(("/api/v1/", "/console/oidc/")) and route.access != "stripe"


SECURITY: Final = Security(_SCHEMES, _RULES, _headers, _is_limited, _codes)


def specification(table: tuple[Route, ...]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document as plain data."""
    described = document(
        table,
        SECURITY,
        title=TITLE,
        version=__version__,
        description=DESCRIPTION,
    )
    add_webhooks(described, {str(event): model for event, model in DATA_MODELS.items()}, description=_WEBHOOK)
    add_examples(described, VALUES)
    add_code_samples(described, _BASE, _BEARER)
    for path, operations in described["paths"].items():
        tag = next(name for name, (prefix, _) in _TAGS.items() if path.startswith(prefix))
        for operation in operations.values():
            operation["tags"] = [tag]
    described["tags"] = [{"name": name, "description": text} for name, (_, text) in _TAGS.items()]
    return described


def typescript(table: tuple[Route, ...]) -> str:
    """Return `client/src/schema.ts`: the types of the routes that a dApp uses."""
    return _TYPESCRIPT_HEAD + declarations(specification(table), CLIENT_ROUTES, ("ServerProblemCode",))
