"""Everything that the OpenAPI document allows, and much that it does not, sent to the running service by every role and without a key."""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.generation import GenerationMode

from kit.clock import SystemClock
from kit.crypto.keyring import KeyRing
from kit.ids import RandomIds
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.service import Author
from onramp.auth.invitations import service as invitations_service
from onramp.auth.roles import KEY_ROLES
from onramp.auth.wallets.tokens import Tokens
from onramp.bootstrap.app import routes
from onramp.config.fields import DEVELOPMENT_KEY
from onramp.config.loader import load
from tests.support.purchases import payout_held_for_screening

pytestmark = pytest.mark.starts_first

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 60 if os.environ.get("PROVE") else 3
JWT_SECRET = os.urandom(32)
STREAMS = ("/sessions/{id}/events", "/changes")
LEFT_OUT = {"GET /openapi.json", "GET /checkout/{file:.+}", "GET /client/{file:.+}", "GET /docs/{file:.+}"}
"""The document itself, and files; every other route is in the document, and asked."""


async def credentials(service: Any) -> dict[str, str | None]:
    secrets = {role: api_keys_service.new_secret() for role in KEY_ROLES}
    author = Author("machine", datetime.now(UTC), is_production=False)
    async with service.database.write() as conn:
        for role, secret in secrets.items():
            await api_keys_service.create(
                conn, author, key_id=RandomIds().new("key_"), secret=secret, ring=KeyRing([DEVELOPMENT_KEY], "onramp"),
                role=role, name=role, person=role,
            )  # fmt: skip
    tokens = Tokens(service.database, [JWT_SECRET], 31611, SystemClock())
    secrets["wallet"], _ = tokens.sign("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", 0)
    return {"nobody": None, **{role: f"Bearer {secret}" for role, secret in secrets.items()}}


async def things(service: Any) -> dict[str, str]:
    """Return by path the id of an existing object: half of the requests are about it."""
    _, session = await service.create()
    author = Author("machine", datetime.now(UTC), is_production=False)
    ring = KeyRing([DEVELOPMENT_KEY], "onramp")
    async with service.database.write() as conn:
        key = await api_keys_service.create(
            conn, author, key_id="key_spare", secret=api_keys_service.new_secret(), ring=ring, role="viewer", name="spare",
            person="spare",
        )  # fmt: skip
        invitation = await invitations_service.invite(
            conn, author, invitation_id="inv_1", token="oin_x", ring=ring, role="viewer", name="x", person="x",
            valid_for=timedelta(hours=1),
        )  # fmt: skip
    return {
        "/api/v1/onramp/sessions/": session["id"],
        "/api/v1/admin/keys/": key.id,
        "/api/v1/admin/invitations/": invitation.id,
        "/api/v1/treasury/payouts/": await payout_held_for_screening(service.database, session["id"]),
    }


def asks(operation: Any, headers: dict[str, str], there: str | None) -> Callable[[], None]:
    is_closed = bool({"wallet", "operator"} & {name for need in operation.definition.raw["security"] for name in need})

    @given(case=st.one_of([operation.as_strategy(mode) for mode in GenerationMode]), real=st.booleans())
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=not os.environ.get("PROVE"),
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def ask(case: Any, real: bool) -> None:
        if real and there is not None:
            case.path_parameters["id"] = there
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS)
        # A 503 reports an unhealthy part, where the document allows it; the nodes of this service do not answer.
        if answer.status_code != 503:
            case.validate_response(answer, checks=[not_a_server_error])
        if is_closed and not headers:
            assert answer.status_code == 401, "the document says that it is closed"

    return ask


def ask_everything(api: str, who: str, credential: str | None, known: dict[str, str]) -> list[str]:
    """Return the problems, one line each. This blocks: hypothesis runs it, in a thread beside the service's loop."""
    schema = schemathesis.openapi.from_url(f"{api}/openapi.json")
    wrong: list[str] = []
    operations = [cast("Any", result).ok() for result in schema.get_all_operations()]
    served = {f"{route.method} {route.path}" for route in routes(load())}
    wrong += [
        f"not in the document: {label}" for label in sorted(served - LEFT_OUT - {one.label for one in operations})
    ]
    for operation in sorted(operations, key=lambda one: one.path.endswith("/logout")):  # it ends the wallet's token
        if operation.path.endswith(STREAMS):
            continue  # other tests read the open stream
        there = next((known[path] for path in known if operation.path.startswith(path)), None)
        try:
            asks(operation, {"Authorization": credential} if credential else {}, there)()
        except BaseExceptionGroup as errors:
            wrong += [f"{who}: {operation.label}: {error}" for error in errors.exceptions]
        except Exception as error:  # noqa: BLE001 - each is reported, with all the others
            wrong.append(f"{who}: {operation.label}: {type(error).__name__}: {error}")
    return wrong


@pytest.mark.parametrize("who", ["nobody", "wallet", *KEY_ROLES])
async def test_no_question_gets_an_answer_that_is_not_documented(start: Any, who: str) -> None:
    service = await start(
        JWT_SECRETS=SecretStr(JWT_SECRET.hex()), RATE_LIMIT_CREATE="", RATE_LIMIT_READ="", RATE_LIMIT_AUTH=""
    )
    known, there = await credentials(service), await things(service)
    wrong = await asyncio.to_thread(ask_everything, service.api, who, known[who], there)
    assert not wrong, "\n".join(wrong)[:6000]
