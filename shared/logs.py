"""One JSON object a line on standard error, from every process."""

import json
import logging
import os
from collections.abc import Iterable, MutableMapping
from datetime import UTC, datetime
from select import PIPE_BUF
from typing import Any

import orjson
import structlog

from shared import tracing

#: Loggers of libraries that bring handlers of their own.
_FOREIGN = ("_granian", "granian.access")


class _StandardError:
    """Writes each line in one call, without a lock that a fork could leave locked for good."""

    def msg(self, line: bytes) -> None:
        """Write the line."""
        os.write(2, line + b"\n")

    debug = info = warning = error = critical = exception = msg


class _JsonHandler(logging.Handler):
    """Writes what libraries log as the same lines."""

    def createLock(self) -> None:  # noqa: N802 (logging's name)
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record."""
        try:
            event: dict[str, Any] = {"event": record.getMessage(), "logger": record.name}
            if record.exc_info:
                event["exception"] = logging.Formatter().formatException(record.exc_info)
            event["level"] = record.levelname.lower()
            write_lines([_complete(None, "", event)])
        except Exception:
            self.handleError(record)


def configure_logging(level: str = "info") -> None:
    """Send the events of this process to standard error, those of libraries from warning on.

    Args:
        level: "debug", "info", "warning" or "error".
    """
    lowest = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            _complete,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=lambda *_: _StandardError(),
        cache_logger_on_first_use=True,
    )
    _take_over_libraries(max(lowest, logging.WARNING))


def write_lines(events: Iterable[MutableMapping[str, Any]]) -> None:
    """Write many complete events, in pieces that no other process can write into."""
    piece = b""
    for event in events:
        line = _render(None, "", event) + b"\n"
        if len(piece) + len(line) > PIPE_BUF:
            os.write(2, piece)
            piece = b""
        piece += line
    if piece:
        os.write(2, piece)


def _take_over_libraries(lowest: int) -> None:
    root = logging.getLogger()
    root.setLevel(lowest)
    if not any(isinstance(handler, _JsonHandler) for handler in root.handlers):
        root.addHandler(_JsonHandler())
    for name in _FOREIGN:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True


def _complete(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the time, and the origin of the work that this thread does."""
    event["timestamp"] = datetime.now(UTC)
    origin = tracing.current.get()
    if origin:
        event.update(origin.fields())
    return event


def _render(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_UTC_Z)
    except TypeError:  # a lone surrogate, or a number that orjson does not know
        return json.dumps(event, default=repr).encode()
