"""Logs: one line an event, JSON where machines read, colours where people do; secrets cannot get through.

Redaction is the last step before rendering and looks at every string, nested ones and tracebacks included, so that a secret
which slipped into an error message of a library is still not written.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

OnError = Callable[[Mapping[str, Any]], None]
FLOORS: Final = ("kit", "chain", "treasury", "onramp")
_SECRETS = (
    (re.compile(r"\b((?:sk|rk|pk)_(?:live|test)_)[A-Za-z0-9_]+"), r"\1[redacted]"),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]+"), "whsec_[redacted]"),
    (re.compile(r"\b(cos_[A-Za-z0-9]+)_secret_[A-Za-z0-9_-]+"), r"\1_secret_[redacted]"),
    (re.compile(r"\b(ork|oin)_[A-Za-z0-9_-]+"), r"\1_[redacted]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 [redacted]"),
    (re.compile(r"(?i)\b(session_hash=)[^&\s\"']+"), r"\1[redacted]"),
    # Any URL keeps its scheme, host and port alone: node keys travel in paths, passwords in the user part. A scheme is short: without
    # an end to it, a text of strangers' making is read from each of its letters on (measured: 13 s for 60 KB).
    (re.compile(r"\b([a-z][a-z0-9+.-]{0,30}://)(?:[^\s/@\"']+@)?([^\s/?#\"']+)[/?#][^\s\"']*"), r"\1\2/[redacted]"),
    (re.compile(r"\b([a-z][a-z0-9+.-]{0,30}://)[^\s/@\"']+@"), r"\1[redacted]@"),
)


_MAY_HOLD_ONE = re.compile(r"(?i)://|_live_|_test_|whsec_|_secret_|ork_|oin_|bearer|basic|session_hash=")
"""Each of the patterns above needs one of these. Most texts of a line hold none, and one search is cheaper than eight."""

bound = structlog.contextvars.bound_contextvars
"""`with bound(session=...)`: each line written in this task meanwhile carries these, and so do the tasks that it starts."""

bind = structlog.contextvars.bind_contextvars
"""The same until the end of the task, or of the request."""

unbind = structlog.contextvars.clear_contextvars
"""Take all of it off this task. A task that works for several must begin so: it has a copy of what was bound by the one who started it."""


def redact(text: str) -> str:
    """The text with everything that looks like a secret taken out."""
    if _MAY_HOLD_ONE.search(text) is None:
        return text
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


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


class _Listener(logging.Handler):
    """Passes each error on, redacted as it is logged."""

    def __init__(self, on_error: OnError, formatter: logging.Formatter) -> None:
        super().__init__(logging.ERROR)
        self._on_error = on_error
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        # Whatever sends errors away must not be given its own failures.
        if record.name.partition(".")[0] in {"sentry_sdk", "opentelemetry", "urllib3"}:
            return
        try:
            self._on_error(json.loads(self.format(record)))
        except Exception:  # noqa: BLE001 - logging goes on whatever a listener does
            self.handleError(record)


def configure(
    level: str = "info",
    style: Literal["json", "text"] = "text",
    stream: TextIO | None = None,
    on_error: OnError | None = None,
) -> None:
    """Set up structlog, and the standard library's loggers through it, once for the process. `on_error` is called with each error, too."""
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
        root.addHandler(_Listener(on_error, formatter(structlog.processors.JSONRenderer())))
    # Below warning, libraries log requests, statements and credentials in full: Stripe's SDK each reply, Amazon's the session token. Only our
    # own floors may log that low.
    root.setLevel(max(logging.WARNING, getattr(logging, level.upper())))
    for floor in FLOORS:
        logging.getLogger(floor).setLevel(level.upper())


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that carries its module's name."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
