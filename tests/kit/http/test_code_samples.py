"""The code samples of the OpenAPI document are valid in their languages and send the operation's own example."""

import ast
import json
import shlex
from typing import Any

from kit.http.code_samples import add_code_samples

BODY = {"name": 'it\'s "new"', "count": 2, "note": None, "tags": ["a", "b"], "inner": {"deep": True}}


def operation(**more: Any) -> dict[str, Any]:
    return {"operationId": "x", "security": [], "responses": {"200": {"content": {"application/json": {}}}}, **more}


def samples(method: str, path: str, described: dict[str, Any]) -> dict[str, str]:
    document = {"paths": {path: {method: described}}}
    add_code_samples(document, "https://x.example", {"key": "API_KEY"})
    return {sample["label"]: sample["source"] for sample in described["x-codeSamples"]}


WRITE = operation(
    security=[{"key": ["writer"]}],
    parameters=[
        {"name": "id", "in": "path", "required": True, "example": "it_1"},
        {"name": "page", "in": "query", "required": True, "example": "a b"},
        {"name": "limit", "in": "query", "required": False, "example": 20},
        {"name": "Idempotency-Key", "in": "header", "required": False, "example": "k"},
        {"name": "X-OTP", "in": "header", "required": False, "example": "123456"},
    ],
    requestBody={"content": {"application/json": {"example": BODY}}},
)


def test_curl_sends_the_example_with_the_key_from_the_environment() -> None:
    source = samples("post", "/items/{id}", WRITE)["curl"]
    words = shlex.split(source.replace("\\\n", " "))
    assert words[:4] == ["curl", "-X", "POST", "https://x.example/items/it_1?page=a+b"]
    headers = [words[at + 1] for at, word in enumerate(words) if word == "-H"]
    assert headers == ["Authorization: Bearer $API_KEY", "Idempotency-Key: k", "Content-Type: application/json"]
    assert json.loads(words[words.index("-d") + 1]) == BODY


def test_python_sends_the_example(monkeypatch: Any) -> None:
    source = samples("post", "/items/{id}", WRITE)["Python"]
    call = next(
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "post"
    )
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    assert ast.literal_eval(call.args[0]) == "https://x.example/items/it_1?page=a+b"
    assert ast.literal_eval(arguments["json"]) == BODY
    monkeypatch.setenv("API_KEY", "secret")
    headers = eval(ast.unparse(arguments["headers"]), {"os": __import__("os")})
    assert headers == {"Authorization": "Bearer secret", "Idempotency-Key": "k"}


def test_typescript_takes_the_key_from_the_environment() -> None:
    source = samples("post", "/items/{id}", WRITE)["TypeScript"]
    assert '"Authorization": `Bearer ${process.env.API_KEY}`,' in source
    assert json.dumps(BODY, indent=2).replace("\n", "\n  ") in source


def test_a_plain_read_is_one_line_of_each() -> None:
    read = samples("get", "/items", operation())
    assert read["curl"] == "curl 'https://x.example/items'"
    assert 'await fetch("https://x.example/items");' in read["TypeScript"]
    assert "import os" not in read["Python"]
