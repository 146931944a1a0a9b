"""Write the types of the API as TypeScript, from the OpenAPI document, so that a client cannot differ from the service.

An emitter of our own, because the usual tools do not fit: openapi-typescript is in maintenance (openapi-ts/openapi-typescript#2874), and
@hey-api/openapi-ts and orval need a newer Node than the oldest that this project supports.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_SCALARS: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_NAME: Final = re.compile(r"[A-Za-z_$][\w$]*")
_COMPONENT: Final = "#/components/schemas/"
_LINE: Final = 120
_DESCRIPTION: Final = "Each route: its method and path, what it takes and answers, and the codes of its problems."


def declarations(document: Mapping[str, Any], prefixes: Sequence[str], more: Sequence[str] = ()) -> str:
    """Return a module with one type, `Routes`, of the routes under `prefixes`, and a type for each component that they use, or that `more` names.

    If the document has webhooks, the type `WebhookMessage` is the union of their bodies, discriminated by `type`.
    """
    schemas = document["components"]["schemas"]
    routes = {
        operation["operationId"]: _route(method, path, operation)
        for path, operations in document["paths"].items()
        if path.startswith(tuple(prefixes))
        for method, operation in operations.items()
    }
    used: set[str] = set()
    _collect(more, schemas, used)
    for _, members in routes.values():
        _collect([text for _, text in members], schemas, used)
    messages = _messages(document.get("webhooks", {}))
    _collect(list(messages), schemas, used)
    parts = [_component(name, schemas[name]) for name in sorted(used)]
    if messages:
        parts.append(_union(messages))
    lines = [*_comment(_DESCRIPTION, ""), "export interface Routes {"]
    for name, (summary, members) in routes.items():
        lines += [*_comment(summary, "  "), f"  {_key(name)}: {{"]
        lines += [f"    {key}:{_wrapped(text, len(key) + 7, '      ')};" for key, text in members]
        lines.append("  };")
    return "\n\n".join([*parts, "\n".join([*lines, "}"])]) + "\n"


def _messages(webhooks: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the types of events by the TypeScript type of their `data`."""
    messages: dict[str, list[str]] = {}
    for event, operations in webhooks.items():
        body = operations["post"]["requestBody"]["content"]["application/json"]["schema"]
        messages.setdefault(type_of(body["properties"]["data"]), []).append(event)
    return messages


def _union(messages: Mapping[str, Sequence[str]]) -> str:
    lines = [
        *_comment("The body of a webhook. Its `type` says what its `data` is.", ""),
        "export type WebhookMessage =",
    ]
    for data, events in messages.items():
        types = "\n        ".join(f"| {json.dumps(event)}" for event in events)
        lines += [
            "  | {",
            f"      type:\n        {types};",
            "      timestamp: string;",
            f"      data: {data};",
            "    }",
        ]
    return "\n".join(lines) + ";"


def type_of(schema: Mapping[str, Any]) -> str:
    """Return the TypeScript type of a JSON schema. Raises LookupError for a schema that has no type in TypeScript."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_COMPONENT)
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if "enum" in schema:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " | ".join(dict.fromkeys(type_of(option) for option in schema[word]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(type_of({**schema, "type": name}) for name in kind)
    if kind == "array":
        item = type_of(schema["items"]) if "items" in schema else "unknown"
        return f"({item})[]" if " | " in item else f"{item}[]"
    if kind == "object" and "properties" in schema:
        return "{ " + " ".join(_members(schema, "", is_inline=True)) + " }"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"Record<string, {type_of(values) if isinstance(values, Mapping) else 'unknown'}>"
    if kind is None:
        return "unknown"
    return _SCALARS[kind]


def problem_codes(operation: Mapping[str, Any]) -> list[str]:
    """Return the codes of an operation's problems, sorted; empty if one of the problems does not list its codes."""
    codes: set[str] = set()
    for response in operation["responses"].values():
        content = response.get("content", {}).get("application/problem+json")
        if content is None:
            continue
        listed = _enumerated(content["schema"])
        if not listed:
            return []
        codes |= listed
    return sorted(codes)


def _enumerated(schema: Mapping[str, Any]) -> set[str]:
    own = schema.get("properties", {}).get("code", {})
    listed = {str(value) for value in own.get("enum", [])} | ({str(own["const"])} if "const" in own else set())
    for word in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(word, []):
            listed |= _enumerated(part)
    return listed


def _route(method: str, path: str, operation: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """Return an operation's summary and its members as TypeScript: (name, type)."""
    members = [
        ("method", json.dumps(method.upper())),
        ("path", "`" + re.sub(r"{\w+}", "${string}", path) + "`" if "{" in path else json.dumps(path)),
    ]
    query = [parameter for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
    if query:
        fields = {parameter["name"]: parameter["schema"] for parameter in query}
        required = [parameter["name"] for parameter in query if parameter["required"]]
        members.append(("query", type_of({"type": "object", "properties": fields, "required": required})))
    if "requestBody" in operation:
        members.append(("body", type_of(operation["requestBody"]["content"]["application/json"]["schema"])))
    members.append(("answer", _answer(operation)))
    codes = problem_codes(operation)
    members.append(("codes", " | ".join(json.dumps(code) for code in codes) if codes else "string"))
    return operation["summary"], members


def _answer(operation: Mapping[str, Any]) -> str:
    """Return the type of what an operation answers if it succeeds: of its JSON, else of each event of its stream."""
    success = next(response for status, response in operation["responses"].items() if status.startswith("2"))
    content = success.get("content", {})
    for media in ("application/json", "text/event-stream"):
        for word in ("schema", "itemSchema"):
            if word in content.get(media, {}):
                return type_of(content[media][word])
    return "unknown"


def _collect(types: Sequence[str], schemas: Mapping[str, Any], used: set[str]) -> None:
    """Add the components that these types name, and those that they name in turn."""
    for text in types:
        for name in re.findall(r"[A-Za-z_]\w*", re.sub(r'"[^"]*"|`[^`]*`', "", text)):
            if name in schemas and name not in used:
                used.add(name)
                _collect([" ".join(_members(schemas[name], "", is_inline=True)), type_of(schemas[name])], schemas, used)


def _component(name: str, schema: Mapping[str, Any]) -> str:
    comment = _comment(schema.get("description", ""), "")
    if "properties" not in schema:
        return "\n".join([*comment, f"export type {name} = {type_of(schema)};"])
    return "\n".join([*comment, f"export interface {name} {{", *_members(schema, "  "), "}"])


def _members(schema: Mapping[str, Any], indent: str, *, is_inline: bool = False) -> Iterator[str]:
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        if not is_inline:
            yield from _comment(field.get("description", ""), indent)
        mark = "" if name in required else "?"
        text = type_of(field)
        shown = f" {text}" if is_inline else _wrapped(text, len(indent) + len(name) + 4, indent + "  ")
        yield f"{indent}{_key(name)}{mark}:{shown};"


def _wrapped(text: str, before: int, indent: str) -> str:
    """Return what follows the colon: a type on the same line, or a union that is too long for it with a member a line."""
    if before + len(text) <= _LINE or " | " not in text or "{" in text:
        return f" {text}"
    return "".join(f"\n{indent}| {member}" for member in text.split(" | "))


def _comment(text: str, indent: str) -> list[str]:
    if not text:
        return []
    words = " ".join(text.replace("*/", "* /").split())
    if len(indent) + len(words) + 7 <= _LINE:
        return [f"{indent}/** {words} */"]
    lines = textwrap.wrap(words, _LINE - len(indent) - 3, break_on_hyphens=False, break_long_words=False)
    return [f"{indent}/**", *(f"{indent} * {line}" for line in lines), f"{indent} */"]


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else json.dumps(name)
