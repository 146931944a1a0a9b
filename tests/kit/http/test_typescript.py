"""TypeScript types that are made from an OpenAPI document."""

from typing import Any

import pytest

from kit.http.typescript import declarations, problem_codes, type_of


def problem(*codes: str) -> dict[str, Any]:
    """A response with these codes, or one that lists none."""
    listed = [{"properties": {"code": {"enum": list(codes)}}}] if codes else []
    return {
        "content": {
            "application/problem+json": {"schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, *listed]}}
        }
    }


def document(**responses: Any) -> dict[str, Any]:
    part = {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}
    item = {
        "type": "object",
        "description": "An item.",
        "properties": {
            "id": {"type": "string", "description": "Never changes. */"},
            "kind": {"enum": ["a", "b"]},
            "part": {"anyOf": [{"$ref": "#/components/schemas/Part"}, {"type": "null"}]},
        },
        "required": ["id", "part"],
    }
    success = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}}
    operation = {
        "operationId": "read_item",
        "summary": "An item.",
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "full", "in": "query", "required": False, "schema": {"type": "boolean"}},
        ],
        "responses": {"200": success, **responses},
    }
    other = {"operationId": "hidden", "summary": "Not the client's.", "responses": {"200": success}}
    return {
        "paths": {"/items/{id}": {"get": operation}, "/admin": {"get": other}},
        "components": {"schemas": {"Item": item, "Part": part, "Unused": part}},
    }


def test_a_module_has_the_routes_of_the_client_and_the_types_that_they_use() -> None:
    assert declarations(document(), ["/items"]) == (
        "/** An item. */\n"
        "export interface Item {\n"
        "  /** Never changes. * / */\n"
        "  id: string;\n"
        '  kind?: "a" | "b";\n'
        "  part: Part | null;\n"
        "}\n"
        "\n"
        "export interface Part {\n"
        "  size: number;\n"
        "}\n"
        "\n"
        "/** Each route: its method and path, what it takes and answers, and the codes of its problems. */\n"
        "export interface Routes {\n"
        "  /** An item. */\n"
        "  read_item: {\n"
        '    method: "GET";\n'
        "    path: `/items/${string}`;\n"
        "    query: { full?: boolean; };\n"
        "    answer: Item;\n"
        "    codes: string;\n"
        "  };\n"
        "}\n"
    )


def test_codes_are_a_union_only_if_every_problem_lists_its_own() -> None:
    listed = document(**{"404": problem("not_found"), "409": problem("taken", "busy")})
    assert '    codes: "busy" | "not_found" | "taken";\n' in declarations(listed, ["/items"])
    assert problem_codes({"responses": {"404": problem("not_found"), "500": problem()}}) == []


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["integer", "null"]}, "number | null"),
        ({"const": "x"}, '"x"'),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, '("a" | "b")[]'),
        ({"type": "array"}, "unknown[]"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "Record<string, string>"),
        ({"type": "object"}, "Record<string, unknown>"),
        ({}, "unknown"),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, "number"),
    ],
)
def test_a_schema_has_a_type(schema: dict[str, Any], expected: str) -> None:
    assert type_of(schema) == expected


def test_a_schema_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(LookupError):
        type_of({"type": "tuple"})


def test_a_long_union_has_a_member_a_line() -> None:
    names = [f"a_rather_long_word_{number}" for number in range(6)]
    text = declarations(document(**{"409": problem(*names)}), ["/items"])
    assert '    codes:\n      | "a_rather_long_word_0"\n' in text
    assert max(map(len, text.splitlines())) <= 120
