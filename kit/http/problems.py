"""Problem details (RFC 9457): errors for clients and the people behind them, with stable codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error of one field; `pointer` is a JSON pointer such as `/sourceAmount`."""

    pointer: str
    detail: str


@dataclass(eq=False)
class Problem(Exception):
    """An error that clients see: what happened, and what to do. It must not contain secrets, personal data or tracebacks."""

    status: int
    code: str
    detail: str
    title: str = ""
    """The title; if it is empty, the phrase of the HTTP status is used."""
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.title:
            self.title = HTTPStatus(self.status).phrase
        super().__init__(self.detail)

    def __str__(self) -> str:
        return self.detail

    def document(self, request_id: str, type_prefix: str) -> bytes:
        """Return the problem document as JSON. Its `type` is `type_prefix` followed by the code."""
        body: dict[str, object] = {
            "type": f"{type_prefix}{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "requestId": request_id,
        }
        if self.errors:
            body["errors"] = [{"pointer": error.pointer, "detail": error.detail} for error in self.errors]
        return orjson.dumps(body)


def not_found(what: str) -> Problem:
    """Return the 404 for an unknown id; `what` names the thing that has the id, such as a session."""
    return Problem(404, "not_found", f"There is no {what} with that id.")


def invalid(errors: Sequence[FieldError]) -> Problem:
    """Return the 422 for a body or query that fails validation; `errors` names the invalid fields."""
    return Problem(
        422, "validation_failed", "; ".join(f"{e.pointer or 'the body'}: {e.detail}" for e in errors), errors=errors
    )
