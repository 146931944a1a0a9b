"""Add code samples to the OpenAPI document: each operation with its example in curl, TypeScript and Python, as `x-codeSamples`.

`x-codeSamples` is a list of `lang`, `label` and `source` that most reference pages show (https://redocly.com/docs/api-reference-docs/specification-extensions/x-code-samples).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

Operation = Mapping[str, Any]
_ALWAYS: Final = frozenset({"Idempotency-Key"})
"""Optional headers that a sample sends nevertheless: a request without them cannot be repeated safely."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    """Header -> value. The value of `Authorization` ends in `$TOKEN`, which each language takes from the environment."""
    body: Any
    is_json: bool
    """Whether the response is JSON."""


def add_code_samples(document: dict[str, Any], base: str, bearer: Mapping[str, str]) -> None:
    """Add samples to each operation that has its examples. `base`: the URL of the service. `bearer`: security scheme -> environment variable."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            request = _request(method.upper(), path, operation, base, bearer)
            operation["x-codeSamples"] = [
                {"lang": lang, "label": label, "source": write(request)} for lang, label, write in _LANGUAGES
            ]


def _request(method: str, path: str, operation: Operation, base: str, bearer: Mapping[str, str]) -> _Request:
    parameters: Sequence[Mapping[str, Any]] = operation.get("parameters", [])
    values = {parameter["name"]: str(parameter["example"]) for parameter in parameters if parameter["in"] == "path"}
    url = base + re.sub(r"{(\w+)}", lambda match: values[match[1]], path)
    query = [(item["name"], item["example"]) for item in parameters if item["in"] == "query" and item["required"]]
    headers = {
        item["name"]: str(item["example"])
        for item in parameters
        if item["in"] == "header" and (item["required"] or item["name"] in _ALWAYS)
    }
    scheme = next((name for requirement in operation["security"] for name in requirement if name in bearer), None)
    if scheme is not None:
        headers = {"Authorization": f"Bearer ${bearer[scheme]}", **headers}
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    success = next(response for status, response in operation["responses"].items() if status[0] in "23")
    return _Request(
        method,
        url + (f"?{urlencode(query)}" if query else ""),
        headers,
        content.get("example"),
        "application/json" in success.get("content", {}),
    )


def _curl(request: _Request) -> str:
    lines = [f"curl {'' if request.method == 'GET' else f'-X {request.method} '}{_quoted(request.url)}"]
    for name, value in request.headers.items():
        # In double quotes the shell replaces the variable.
        lines.append(f'-H "{name}: {value}"' if "$" in value else f"-H {_quoted(f'{name}: {value}')}")
    if request.body is not None:
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d {_quoted(json.dumps(request.body, indent=2, ensure_ascii=False))}")
    return " \\\n  ".join(lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _typescript(request: _Request) -> str:
    def value(text: str) -> str:
        head, dollar, variable = text.partition("$")
        return f"`{head}${{process.env.{variable}}}`" if dollar else json.dumps(text, ensure_ascii=False)

    headers = {name: value(text) for name, text in request.headers.items()}
    if request.body is not None:
        headers["Content-Type"] = '"application/json"'
    options = [] if request.method == "GET" else [f'method: "{request.method}",']
    if headers:
        options += ["headers: {", *(f"  {json.dumps(name)}: {text}," for name, text in headers.items()), "},"]
    if request.body is not None:
        body = json.dumps(request.body, indent=2, ensure_ascii=False).replace("\n", "\n  ")
        options.append(f"body: JSON.stringify({body}),")
    inner = "".join(f"\n  {line}" for line in options)
    call = f"fetch({json.dumps(request.url)}{f', {{{inner}' + chr(10) + '}' if options else ''})"
    result = "response.json()" if request.is_json else "response.text()"
    return f"const response = await {call};\nif (!response.ok) throw new Error(await response.text());\nconst result = await {result};"


def _python(request: _Request) -> str:
    def value(text: str) -> str:
        head, dollar, variable = text.partition("$")
        return f"f\"{head}{{os.environ['{variable}']}}\"" if dollar else _literal(text)

    arguments = [_literal(request.url)]
    if request.headers:
        inner = ", ".join(f"{_literal(name)}: {value(text)}" for name, text in request.headers.items())
        arguments.append(f"headers={{{inner}}}")
    if request.body is not None:
        arguments.append(f"json={_literal(request.body)}".replace("\n", "\n    "))
    arguments.append("timeout=10")
    needs_os = any("$" in text for text in request.headers.values())
    call = "".join(f"\n    {argument}," for argument in arguments)
    result = "response.json()" if request.is_json else "response.text"
    head = "import os\n\nimport requests\n" if needs_os else "import requests\n"
    return f"{head}\nresponse = requests.{request.method.lower()}({call}\n)\nresponse.raise_for_status()\nresult = {result}"


def _literal(value: Any) -> str:
    """Return a value of JSON as Python writes it, the members of an object on lines of their own."""
    if isinstance(value, dict):
        members = [f"{_literal(name)}: {_literal(member)},".replace("\n", "\n    ") for name, member in value.items()]
        return "".join(("{", *(f"\n    {member}" for member in members), "\n}")) if members else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


_LANGUAGES: Final[tuple[tuple[str, str, Callable[[_Request], str]], ...]] = (
    ("Shell", "curl", _curl),
    ("TypeScript", "TypeScript", _typescript),
    ("Python", "Python", _python),
)
