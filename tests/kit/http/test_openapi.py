"""The OpenAPI document that is made from a route table."""

from aiohttp import web

from kit.http.documents import Document
from kit.http.openapi import AccessRule, Security, document
from kit.http.reference_page import AccessTable, page
from kit.http.routing import Route


class Item(Document):
    item_name: str


async def handler(_request: web.Request) -> web.StreamResponse:
    return web.Response()


ROUTES = (
    Route(
        "POST",
        "/items/{id:[0-9]+}",
        handler,
        access="writer",
        summary="Write `an item`.",
        name="write_item",
        body=Item,
        response=Item,
        status=201,
        responses={303: "It is written already.", 409: "`taken`."},
        codes={409: ("taken", "closed"), 422: ("too_heavy",), 502: ("printer_off",)},
        foreign_codes={422: "^scales_"},
    ),
    Route("GET", "/health", handler, access="anyone", summary="Liveness.", name="health"),
)
SECURITY = Security(
    schemes={"key": {"type": "http", "scheme": "bearer"}},
    rules={
        "anyone": AccessRule(),
        "writer": AccessRule([{"key": ["writer"]}], {401: ("unknown",), 403: ("forbidden",)}),
    },
    headers=lambda route: {"X-Code": "A code."} if route.method == "POST" else {},
    is_limited=lambda route: route.path.startswith("/items"),
    codes=lambda route: {401: ("code_missing",)} if route.method == "POST" else {},
)


def made() -> dict[str, object]:
    return document(ROUTES, SECURITY, title="Items", version="1", description="Sells items.")


def test_each_operation_lists_its_parameters_bodies_and_problems() -> None:
    paths = made()["paths"]
    assert isinstance(paths, dict)
    operation = paths["/items/{id}"]["post"]
    assert operation["operationId"] == "write_item" and operation["security"] == [{"key": ["writer"]}]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["id", "X-Code"]
    responses = operation["responses"]
    assert set(responses) == {
        "201",
        "303",
        *(str(code) for code in (400, 401, 403, 404, 409, 413, 415, 422, 429, 502, 503)),
    }
    assert set(paths["/health"]["get"]["responses"]) == {"200", "503"}


def test_each_problem_lists_its_codes() -> None:
    paths = made()["paths"]
    assert isinstance(paths, dict)
    responses = paths["/items/{id}"]["post"]["responses"]
    schemas = {
        status: response["content"]["application/problem+json"]["schema"]
        for status, response in responses.items()
        if int(status) >= 400
    }
    assert "content" not in responses["303"]
    listed = {
        status: (own["anyOf"][0] if "anyOf" in own else own)["properties"]["code"]["enum"]
        for status, own in ((status, schema["allOf"][1]) for status, schema in schemas.items())
    }
    assert listed["409"] == ["taken", "closed"]
    assert listed["401"] == ["unknown", "code_missing"]
    assert set(listed["400"]) == {"body_unreadable", "malformed_json"}
    assert set(listed["422"]) == {"validation_failed", "too_heavy"}
    assert schemas["422"]["allOf"][1]["anyOf"][1] == {"properties": {"code": {"type": "string", "pattern": "^scales_"}}}
    assert responses["502"]["description"] == "`printer_off`.", "it has no other description"


def test_models_are_schemas_with_the_names_that_the_api_uses() -> None:
    components = made()["components"]
    assert isinstance(components, dict)
    assert set(components["schemas"]) == {"Item", "Problem", "ServerProblemCode"}
    assert set(components["schemas"]["Item"]["properties"]) == {"itemName"}


def test_the_reference_page_shows_who_may_call_what_without_a_script() -> None:
    table = AccessTable(ROUTES, ("anonymous", "writer"), lambda access, caller: access in {"anyone", caller})
    text = page("Items & more", table)
    assert "<title>Items &amp; more: API reference</title>" in text
    assert "<tr><td><code>GET /health</code></td><td>yes</td><td>yes</td></tr>" in text
    assert "<td></td><td>yes</td></tr>" in text
