"""Examples in the OpenAPI document: one for each field, and from these one for each body, parameter and response."""

import re
from collections.abc import Mapping
from typing import Any, Final

_COMPONENT: Final = "#/components/schemas/"
_NOTHING: Final = object()


def add_examples(document: dict[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Add examples to the OpenAPI document. Return the names of the fields and parameters without one in `values`, whose example is null.

    `values`: name of a field, a query parameter or a header -> its example; `Schema.field`, and `collection.id` for the id in a path, are
    preferred to it. A field that lists its values, or refers to another schema, needs none.
    """
    examples = _Examples(document, values)
    examples.add()
    return sorted(examples.missing)


class _Examples:
    def __init__(self, document: dict[str, Any], values: Mapping[str, Any]) -> None:
        self._document = document
        self._schemas: dict[str, Any] = document["components"]["schemas"]
        self._values = values
        self._objects: dict[str, Any] = {}
        self.missing: set[str] = set()

    def add(self) -> None:
        for name, schema in self._schemas.items():
            for field, field_schema in schema.get("properties", {}).items():
                if "$ref" not in field_schema:
                    field_schema["examples"] = [self._of_field(name, field, field_schema)]
        for path, operations in self._document["paths"].items():
            for operation in operations.values():
                self._add_to(operation, path)

    def _add_to(self, operation: dict[str, Any], path: str) -> None:
        for parameter in operation.get("parameters", []):
            parameter["example"] = self._of_parameter(parameter, path)
        contents = [operation["requestBody"]["content"]] if "requestBody" in operation else []
        contents += [
            response.get("content", {}) for status, response in operation["responses"].items() if status.startswith("2")
        ]
        for content in contents:
            for media in content.values():
                if "schema" in media:
                    media["example"] = self._of_schema(media["schema"])

    def _of_parameter(self, parameter: Mapping[str, Any], path: str) -> Any:
        name = parameter["name"]
        if parameter["in"] == "path":
            collection = re.findall(rf"([\w-]+)/{{{name}}}", path)[0]
            return self._look_up(f"{collection}.{name}", name)
        schema = parameter["schema"]
        return schema["examples"][0] if "examples" in schema else self._look_up(name)

    def _of_field(self, owner: str, field: str, schema: Mapping[str, Any]) -> Any:
        value = self._values.get(f"{owner}.{field}", self._values.get(field, _NOTHING))
        return self._of_schema(schema, f"{owner}.{field}") if value is _NOTHING else value

    def _of_schema(self, schema: Mapping[str, Any], name: str = "") -> Any:
        if "$ref" in schema:
            return self._of_component(str(schema["$ref"]).removeprefix(_COMPONENT))
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        if "anyOf" in schema:
            return self._of_schema(schema["anyOf"][0], name)
        match schema.get("type"):
            case "boolean":
                return schema.get("default", False)
            case "array":
                return [self._of_schema(schema["items"], name)]
            case _:
                return self._miss(name or str(schema))

    def _of_component(self, name: str) -> Any:
        if name not in self._objects:
            schema = self._schemas[name]
            if "properties" not in schema:
                self._objects[name] = self._of_schema(schema, name)
            else:
                self._objects[name] = {
                    field: self._of_field(name, field, field_schema)
                    for field, field_schema in schema["properties"].items()
                }
        return self._objects[name]

    def _look_up(self, *names: str) -> Any:
        for name in names:
            if name in self._values:
                return self._values[name]
        return self._miss(names[0])

    def _miss(self, name: str) -> None:
        self.missing.add(name)
