"""Logs: one line for each event, as JSON or, for people, in colours; secrets are redacted.

Redaction is the last step before a line is written. It covers every string, nested values and tracebacks included, so that a secret in
an error message of a library is not written either.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

OnError = Callable[[Mapping[str, Any]], None]


class SecretPattern(NamedTuple):
    """A regular expression that finds one kind of secret in a text, and what replaces it."""

    pattern: re.Pattern[str]
    replacement: str
    """The replacement text of a match, with group references as `re.sub` takes them."""
    hint: str
    """A short regular expression in lower case, matched in any case. A text in which it finds nothing does not contain `pattern` either."""


_GENERIC: Final = (
    SecretPattern(re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 [redacted]", "bearer|basic"),
    # Any URL keeps only its scheme, host and port: node keys are in paths, passwords in the user part. The scheme is limited to 31 characters:
    # without a limit, the expression starts again at each letter of a hostile text (measured: 13 s for 60 KB).
    SecretPattern(
        re.compile(r"\b([a-z][a-z0-9+.-]{0,30}://)(?:[^\s/@\"']+@)?([^\s/?#\"']+)[/?#][^\s\"']*"),
        r"\1\2/[redacted]",
        "://",
    ),
    SecretPattern(re.compile(r"\b([a-z][a-z0-9+.-]{0,30}://)[^\s/@\"']+@"), r"\1[redacted]@", "://"),
)

bound = structlog.contextvars.bound_contextvars
"""`with bound(session=...)`: every line logged in this task, and in tasks that it starts, has these values until the block ends."""

bind = structlog.contextvars.bind_contextvars
"""Add values to every line logged in this task until it ends, or until `unbind`."""

unbind = structlog.contextvars.clear_contextvars
"""Remove all bound values from this task. A task that works for several requests must call it first: it inherits a copy of its creator's."""


class _Redactor:
    def __init__(self) -> None:
        self._patterns: tuple[SecretPattern, ...] = ()
        self.add(())

    def add(self, patterns: Iterable[SecretPattern]) -> None:
        application = [*self._patterns[: -len(_GENERIC)], *(item for item in patterns if item not in self._patterns)]
        self._patterns = (*application, *_GENERIC)
        # Most texts contain no secret, and one search is cheaper than all patterns. A search that ignores case takes five times as long as
        # one in the folded text.
        self._hints = re.compile("|".join(dict.fromkeys(item.hint for item in self._patterns)))

    def redact(self, text: str) -> str:
        if self._hints.search(text.casefold()) is None:
            return text
        for pattern, replacement, _hint in self._patterns:
            text = pattern.sub(replacement, text)
        return text


_redactor = _Redactor()
add_secret_patterns = _redactor.add
"""Add patterns of secrets to redact in the whole process. Patterns that were added already are ignored."""
redact = _redactor.redact
"""Return the text with everything that matches a pattern of a secret replaced."""


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


def _redaction(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: _clean(value) for key, value in event.items()}


class _ErrorHandler(logging.Handler):
    """Passes each error, redacted as it is logged, to a callback."""

    def __init__(self, on_error: OnError, formatter: logging.Formatter) -> None:
        super().__init__(logging.ERROR)
        self._on_error = on_error
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        # Errors of the libraries that send errors away would be sent in a circle.
        if record.name.partition(".")[0] in {"sentry_sdk", "opentelemetry", "urllib3"}:
            return
        try:
            self._on_error(json.loads(self.format(record)))
        except Exception:  # noqa: BLE001 - logging goes on whatever a callback does
            self.handleError(record)


class _LineHandler(logging.Handler):
    """Passes the values of each line of structlog to a callback."""

    def __init__(self, on_line: OnError) -> None:
        super().__init__()
        self._on_line = on_line

    def emit(self, record: logging.LogRecord) -> None:
        if not isinstance(record.msg, dict):
            return
        try:
            self._on_line(record.msg)
        except Exception:  # noqa: BLE001 - logging goes on whatever a callback does
            self.handleError(record)


def listen(on_line: OnError) -> Callable[[], None]:
    """Call `on_line` with the values of each line that is logged, not redacted, in the task that logs it. Return the function that ends it."""
    handler = _LineHandler(on_line)
    logging.getLogger().addHandler(handler)
    return lambda: logging.getLogger().removeHandler(handler)


def configure(
    level: str = "info",
    style: Literal["json", "text"] = "text",
    stream: TextIO | None = None,
    on_error: OnError | None = None,
    own_loggers: Collection[str] = (),
) -> None:
    """Set up structlog, and the standard library's loggers through it, for the whole process.

    `own_loggers` are the top-level loggers that may log below warning; all others are libraries. `on_error` is called with each error,
    redacted.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
    ]
    target = stream or sys.stderr
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=target.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        cache_logger_on_first_use=False,
    )

    def formatter(last: Processor) -> logging.Formatter:
        steps = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _redaction, last]
        return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=steps)

    handler = logging.StreamHandler(target)
    handler.setFormatter(formatter(renderer))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    if on_error is not None:
        root.addHandler(_ErrorHandler(on_error, formatter(structlog.processors.JSONRenderer())))
    # Below warning, libraries log requests, statements and credentials in full: Stripe's SDK every response, Amazon's the session token.
    root.setLevel(max(logging.WARNING, getattr(logging, level.upper())))
    for name in own_loggers:
        logging.getLogger(name).setLevel(level.upper())


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger whose lines name the module `name`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
