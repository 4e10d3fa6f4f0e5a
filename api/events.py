"""What happens to a job: a list of events, or a stream of them (server-sent events)."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field
from redis.exceptions import RedisError

from api.access import access
from api.metrics import STREAMS
from api.openapi import operation
from api.parsing import WHOLE, query
from api.problems import Problem
from api.representation import answer, moment
from api.scopes import Scope
from api.services import services
from shared.errors import JobNotFound
from shared.job import Epoch, Status
from shared.store import BLOCK_SECONDS, Event, Store

blueprint = Blueprint("events", __name__, url_prefix="/v1/jobs")

EVENT_STREAM = "text/event-stream"
#: When a browser connects again after a break.
RETRY_MS = 1_000
EVENT_ID = "[0-9]{1,19}(-[0-9]{1,19})?"
#: How many events one message to the client holds at most.
BATCH = 100


class EventsQuery(BaseModel):
    """Query of the events of a job."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=1000), WHOLE] = Field(1000, description="of a list")
    after: str = Field(
        "0",
        description="only what follows the event with this id",
        json_schema_extra={"pattern": f"^{EVENT_ID}$"},
    )


class StatusChange(BaseModel):
    """Data of an event of the type `status`."""

    status: Status


class JobEvent(BaseModel):
    """Something that happened to a job; ids of a job's events grow."""

    id: str
    type: Literal["status", "epoch"]
    time: datetime
    data: StatusChange | Epoch


class EventList(BaseModel):
    """Some events, oldest first."""

    job_id: str
    events: list[JobEvent]
    has_more: bool
    next: str | None = Field(description="pass it as `after` for the next page")


@blueprint.get("/<job_id>/events")
@operation(
    "What happens to a job: a list, or live with Accept: text/event-stream",
    "jobs",
    {200: EventList, 204: None},
    query=EventsQuery,
    headers={"Last-Event-ID": "a stream goes on after this event; counts more than `after`"},
    other_form=EVENT_STREAM,
    scope="train",
    problems=(400, 404, 503),
)
def list_events(job_id: str) -> Response:
    """A page of events, or a stream that ends with the job; 204 if it would be empty."""
    wanted, _ = query(EventsQuery)
    after = _position(wanted.after)
    last = _position(request.headers.get("Last-Event-ID", after))
    return _stream(job_id, last) if _wants_stream() else _page(job_id, after, wanted.limit)


def _wants_stream() -> bool:
    forms = ["application/json", EVENT_STREAM]
    return request.method == "GET" and request.accept_mimetypes.best_match(forms) == EVENT_STREAM


def _position(event_id: str) -> str:
    if not re.fullmatch(EVENT_ID, event_id):
        raise Problem(400, f"{event_id[:50]!r} is not the id of an event, as in 1735689600000-0.")
    return event_id


def _page(job_id: str, after: str, limit: int) -> Response:
    _, found = services().store.news(job_id, after=after, limit=limit + 1)
    more = len(found) > limit
    events = found[:limit]
    response = answer(
        {
            "job_id": job_id,
            "events": [
                {"id": event.id, "type": event.kind, "time": _time(event), "data": _data(event)}
                for event in events
            ],
            "has_more": more,
            "next": events[-1].id if more else None,
        }
    )
    response.headers["Vary"] = "Accept"
    return response


def _time(event: Event) -> str | None:
    return moment(int(event.id.partition("-")[0]))


def _data(event: Event) -> Any:
    if event.kind == "status":
        return {"status": event.data.decode()}
    return orjson.Fragment(event.data)


def _stream(job_id: str, after: str) -> Response:
    store, settings, free = services().store, services().settings, services().streams
    status, events = store.news(job_id, after=after, limit=1)
    if status.ended and not events:
        return Response(status=204, headers={"Cache-Control": "no-store"})
    if not free.acquire(blocking=False):
        raise Problem(
            503, "All event streams are taken; without Accept: text/event-stream, "
            "the same events can be polled."
        )  # fmt: skip
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"}
    admitted = partial(access().still_admits, request.environ, Scope.TRAIN)
    messages = _messages(store, job_id, after, settings.stream_heartbeat_seconds, admitted)
    response = Response(messages, headers=headers, content_type=EVENT_STREAM)
    response.call_on_close(free.release)
    STREAMS.inc()
    response.call_on_close(STREAMS.dec)
    return response


def _messages(
    store: Store, job_id: str, after: str, heartbeat: float, admitted: Callable[[], bool]
) -> Iterator[bytes]:
    """The body of a stream; when Redis fails it ends, so that the client connects again.

    It also ends when the client's key is no longer good for it.

    "Ended" is what the record says once all events are sent: a failed job may be retried, so that
    an event that ends it need not be the last.
    """
    yield b"retry: %d\n\n" % RETRY_MS
    spoken = time.monotonic()
    with suppress(RedisError, JobNotFound):
        while admitted():
            status, events = store.news(job_id, after=after, limit=BATCH)
            if not events and status.ended:
                return
            silent = time.monotonic() - spoken >= heartbeat
            if events or silent:
                spoken = time.monotonic()
            # The server tells nobody that the client has gone, except when it is given something.
            yield b"".join(map(_message, events)) or (b": heartbeat\n\n" if silent else b"")
            if events:
                after = events[-1].id
            else:
                store.events(job_id, after=after, limit=1, block_seconds=BLOCK_SECONDS)


def _message(event: Event) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        event.id.encode(),
        event.kind.encode(),
        orjson.dumps(_data(event)),
    )
