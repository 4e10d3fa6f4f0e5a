"""One JSON object a line on standard error, from every process."""

import logging
import os

import structlog


class _StandardError:
    """Writes each line in one call, without a lock that a fork could leave locked for good."""

    def msg(self, line: str) -> None:
        """Write the line."""
        os.write(2, line.encode("utf-8", "backslashreplace") + b"\n")

    debug = info = warning = error = critical = exception = msg


def configure_logging() -> None:
    """Send structlog's events to standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _StandardError(),
        cache_logger_on_first_use=True,
    )
