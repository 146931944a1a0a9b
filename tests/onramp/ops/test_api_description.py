"""The OpenAPI document of the service is valid OpenAPI 3.1, and describes every route with its problems."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # its types are a package of their own
from openapi_spec_validator import OpenAPIV31SpecValidator

from kit.http.examples import add_examples
from kit.http.openapi import SERVER_CODES, problem_codes
from onramp.bootstrap.app import routes
from onramp.bootstrap.factories import session_config
from onramp.config.loader import load
from onramp.hooks.event_types import EventType
from onramp.ops.example_values import VALUES
from onramp.ops.openapi import SECURITY, specification
from onramp.sessions.purchase_request import check
from onramp.sessions.schemas import CreateSession, SessionEvent
from onramp.stripe.errors import REFUSALS
from tests.support.paths import ROOT


def test_the_document_is_valid_openapi_and_names_every_operation_once() -> None:
    table = tuple(routes(load()))
    document = specification(table)
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    operations = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert sorted(operations) == sorted(route.name for route in table)


def test_every_event_is_a_webhook_with_the_schema_of_what_get_answers() -> None:
    webhooks = DOCUMENT["webhooks"]
    assert set(webhooks) == set(EventType)
    bodies = {
        event: methods["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
        for event, methods in webhooks.items()
    }
    assert {event: body["type"]["const"] for event, body in bodies.items()} == {event: event for event in webhooks}
    read = DOCUMENT["paths"]["/api/v1/onramp/sessions/{id}"]["get"]["responses"]["200"]
    answer = read["content"]["application/json"]["schema"]
    assert all(body["data"] == answer for event, body in bodies.items() if event.startswith(("session.", "delivery.")))
    names = {body["data"]["$ref"].rpartition("/")[2] for body in bodies.values()}
    assert names <= set(DOCUMENT["components"]["schemas"]) and len(names) == 9


def test_every_access_of_a_route_is_described() -> None:
    document = specification(tuple(routes(load())))
    schemes = set(document["components"]["securitySchemes"])
    requirements = [
        name
        for methods in document["paths"].values()
        for operation in methods.values()
        for requirement in operation["security"]
        for name in requirement
    ]
    assert set(requirements) == schemes == {"wallet", "operator", "console", "stripe", "metrics"}


TABLE = tuple(routes(load(CONSOLE="on")))
DOCUMENT = specification(TABLE)
CREATE = DOCUMENT["paths"]["/api/v1/onramp/sessions"]["post"]


def problems() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the schema of every problem response with the name of its operation and its status."""
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                assert (int(status) >= 400) == ("application/problem+json" in content), (
                    operation["operationId"],
                    status,
                )
                if "application/problem+json" in content:
                    yield f"{operation['operationId']} {status}", content["application/problem+json"]["schema"]


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def problem(code: str) -> dict[str, Any]:
    return {"type": "urn:x", "title": "t", "status": 422, "detail": "d", "code": code, "requestId": "r"}


def test_each_problem_response_lists_its_codes() -> None:
    schemas = dict(problems())
    assert len(schemas) > 150
    for name, schema in schemas.items():
        assert not validator(schema).is_valid(problem("no_such_code")), name


def test_create_declares_its_own_codes_and_those_that_stripe_chooses() -> None:
    codes = {name: schema for name, schema in problems() if name.startswith("create_session")}
    refused = validator(codes["create_session 422"])
    for code in ("validation_failed", "wallet_limit", *REFUSALS, "crypto_onramp_a_new_one"):
        assert refused.is_valid(problem(code)), code
    assert not refused.is_valid(problem("rate_limited"))
    assert not refused.is_valid({**problem("wallet_limit"), "requestId": 1}), "it is a Problem first"
    assert validator(codes["create_session 401"]).is_valid(problem("unauthorized"))
    assert set(CREATE["responses"]) >= {
        "201",
        "400",
        "401",
        "403",
        "404",
        "409",
        "413",
        "415",
        "422",
        "429",
        "502",
        "503",
    }


def raised_codes() -> set[str]:
    """Return the code of every `Problem(status, "code", ...)` in the source."""
    codes = set()
    for layer in ("onramp", "treasury", "chain", "kit"):
        for path in (ROOT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem" and len(node.args) > 1:
                    code = node.args[1]
                    if isinstance(code, ast.Constant):
                        codes.add(str(code.value))
    return codes


def test_every_code_that_is_raised_is_declared_by_a_route_and_every_declared_one_is_raised() -> None:
    declared = {code for route in TABLE for codes in problem_codes(route, SECURITY).values() for code in codes}
    raised = raised_codes()
    assert len(raised) > 40
    assert raised - declared - set(SERVER_CODES) == set()
    # Raised by name: Stripe's refusals, Stripe's outage, the echo that differs, and the planner's verdicts.
    by_name = {*REFUSALS, "stripe_unavailable", "stripe_echo_mismatch", "insufficient_available", "policy_refused"}
    assert declared - raised - by_name == set()


def test_the_codes_that_a_description_names_are_declared_for_that_status() -> None:
    known = {code for route in TABLE for codes in problem_codes(route, SECURITY).values() for code in codes}
    for route in TABLE:
        codes = problem_codes(route, SECURITY)
        for status, text in route.responses.items():
            named = set(re.findall("`([a-z_]+)`", text)) & known
            assert named <= set(codes.get(status, ())), (route.name, status)


def test_an_event_of_a_sessions_stream_has_a_schema() -> None:
    content = DOCUMENT["paths"]["/api/v1/onramp/sessions/{id}/events"]["get"]["responses"]["200"]["content"]
    assert list(content) == ["text/event-stream"]
    assert content["text/event-stream"]["schema"] == {"$ref": "#/components/schemas/SessionEvent"}
    schema = DOCUMENT["components"]["schemas"]["SessionEvent"]
    assert set(schema["required"]) == {"id", "event", "data"}
    assert schema["properties"]["event"]["const"] == "session"
    data = schema["properties"]["data"]
    assert data["contentMediaType"] == "application/json"
    assert data["contentSchema"]["$ref"].rsplit("/", 1)[1] in DOCUMENT["components"]["schemas"]
    assert SessionEvent(id="1", event="session", data="{}").id == "1"


def test_each_field_has_an_example_that_its_schema_accepts() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for field, field_schema in schema.get("properties", {}).items():
            if "$ref" in field_schema:
                continue
            [example] = field_schema["examples"]
            assert [error.message for error in validator(field_schema).iter_errors(example)] == [], (name, field)


def test_each_operation_has_examples_that_the_service_itself_accepts() -> None:
    models = {route.name: route for route in TABLE}
    count = 0
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            route, count = models[operation["operationId"]], count + 1
            for parameter in operation.get("parameters", []):
                assert validator(parameter["schema"]).is_valid(parameter["example"]), (route.name, parameter["name"])
            if route.body is not None:
                route.body.model_validate(operation["requestBody"]["content"]["application/json"]["example"])
            for model, media in ((route.response, "application/json"), (route.event, "text/event-stream")):
                if model is not None:
                    answer = operation["responses"][str(route.status)]["content"][media]
                    assert [error.message for error in validator(answer["schema"]).iter_errors(answer["example"])] == []
    assert count == len(TABLE)


def test_the_example_of_a_purchase_is_one_that_create_accepts() -> None:
    body = CreateSession.model_validate(CREATE["requestBody"]["content"]["application/json"]["example"])
    config = session_config(load(ALLOWED_ORIGINS="https://shop.example"))
    assert check(body, [], config).reference == body.reference


def test_a_field_without_an_example_is_named() -> None:
    document = {
        "paths": {},
        "components": {"schemas": {"Thing": {"properties": {"colour": {"type": "string"}}}}},
    }
    assert add_examples(document, {}) == ["Thing.colour"]
    assert add_examples(specification(TABLE), VALUES) == [], "add it to onramp/ops/example_values.py"
