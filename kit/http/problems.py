"""A refusal that reaches a person: RFC 9457 problem details with a stable code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field; `pointer` is a JSON pointer such as `/sourceAmount`."""

    pointer: str
    detail: str


@dataclass(eq=False)
class Problem(Exception):
    """What happened and what to do, safe to show to anyone: never a secret, never a traceback."""

    status: int
    code: str
    detail: str
    title: str = ""
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the HTTP phrase as the title where none is given."""
        if not self.title:
            self.title = HTTPStatus(self.status).phrase
        super().__init__(self.detail)

    def __str__(self) -> str:
        """The sentence for people."""
        return self.detail

    def body(self, request_id: str) -> dict[str, object]:
        """The members of the problem document."""
        body: dict[str, object] = {
            "type": f"urn:onramp:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "requestId": request_id,
        }
        if self.errors:
            body["errors"] = [{"pointer": error.pointer, "detail": error.detail} for error in self.errors]
        return body


def not_found(what: str) -> Problem:
    """Nothing is known under that name."""
    return Problem(404, "not_found", f"There is no {what} with that id.")


def invalid(errors: Sequence[FieldError]) -> Problem:
    """A body or query that says something impossible; every field at fault is named."""
    return Problem(
        422, "validation_failed", "; ".join(f"{e.pointer or 'the body'}: {e.detail}" for e in errors), errors=errors
    )
