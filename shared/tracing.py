"""Where a piece of work comes from: the request id and the W3C trace context.

The API makes an `Origin` for each request, a job's record keeps that of its create, and the worker
that trains the job takes it over. Log lines and spans carry it.
"""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
#: https://www.w3.org/TR/trace-context/#traceparent-header; later versions may add parts.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Origin(NamedTuple):
    """What caused the work: `request_id` is the client's or ours, the rest the trace context."""

    request_id: str
    trace_id: str
    span_id: str
    flags: str = "01"
    job_id: str | None = None

    @property
    def traceparent(self) -> str:
        """The W3C header that makes further work a child of this."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    def fields(self) -> dict[str, str]:
        """What log lines say of it."""
        names = {"request_id": self.request_id, "trace_id": self.trace_id}
        return names | ({"job_id": self.job_id} if self.job_id else {})


#: Of the work that this thread does.
current: ContextVar[Origin | None] = ContextVar("origin", default=None)


def of_request(request_id: str | None, traceparent: str | None) -> Origin:
    """The origin of a request with these headers; what is missing or malformed is made up."""
    # Ids are not secret; what asks the kernel for randomness gives the GIL away.
    fresh = f"{random.getrandbits(192):048x}"
    given = parse(traceparent) if traceparent else None
    trace_id, flags = (given[0], given[2]) if given else (fresh[:32], "01")
    if not request_id or not _REQUEST_ID.fullmatch(request_id):
        request_id = fresh[:32]
    return Origin(request_id, trace_id, fresh[32:], flags)


def of_job(job_id: str, request_id: str | None, traceparent: str | None) -> Origin:
    """The origin of the work on a job, from its record."""
    trace_id, span_id, flags = parse(traceparent) or (job_id, job_id[:16], "00")
    return Origin(request_id or job_id, trace_id, span_id, flags, job_id)


def parse(traceparent: str | None) -> tuple[str, str, str] | None:
    """Trace id, span id and flags; None if the header is missing or malformed."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if not found or (found[0].startswith("00") and found[4]):
        return None
    trace_id, span_id, flags = found.group(1, 2, 3)
    return (trace_id, span_id, flags) if trace_id.strip("0") and span_id.strip("0") else None


@contextmanager
def working_for(origin: Origin) -> Iterator[None]:
    """Have the log lines of this block carry the origin."""
    token = current.set(origin)
    try:
        yield
    finally:
        current.reset(token)
