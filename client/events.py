"""Live events of a job: server-sent events read, and read on after every break."""

from __future__ import annotations

import codecs
import io
import json
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import requests
from urllib3.exceptions import HTTPError

from client.errors import ConnectionFailed, TooManyRequests, Unavailable, UnexpectedAnswer
from client.results import Epoch, decode
from client.transport import Transport

#: A stream that is silent for so much longer than the timeout for reading counts as broken; the
#: service says something every 10 seconds.
SILENCE_SECONDS = 15.0
#: How long the service may be away, once it has answered.
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 1.0
UNAVAILABLE = (ConnectionFailed, TooManyRequests, Unavailable)


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """The job has a new status. ``id`` is what ``watch`` can go on after."""

    id: str
    time: datetime
    status: str


@dataclass(frozen=True, slots=True)
class EpochEvent:
    """An epoch has been committed. ``id`` is what ``watch`` can go on after."""

    id: str
    time: datetime
    epoch: Epoch


Event = StatusEvent | EpochEvent


class Message(NamedTuple):
    """One server-sent event."""

    id: str
    type: str
    data: str


def messages(chunks: Iterable[bytes]) -> Iterator[Message]:
    """What an event stream says (WHATWG HTML, 9.2.6); a message that is cut short is dropped."""
    last_id, kind, data = "", "", list[str]()
    for line in _lines(chunks):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Message(last_id, kind or "message", "\n".join(data))
            kind, data = "", []
        elif name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last_id = value


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    text = codecs.getincrementaldecoder("utf-8-sig")("replace")
    decoder, rest = io.IncrementalNewlineDecoder(text, translate=True), ""
    for chunk in chunks:
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from lines


class Watch:
    """Reads a job's events from streams, and from the list while no stream is to be had."""

    def __init__(self, transport: Transport, path: str, after: str | None) -> None:
        self._transport, self._path, self._position = transport, path, after or "0"
        self._heard: float | None = None

    def events(self) -> Iterator[Event]:
        """Each event once, in order, until the job has ended."""
        while True:
            start = self._position
            if (yield from self._streamed()):
                return
            if self._position == start:
                yield from self._listed()
                time.sleep(POLL_SECONDS)

    def _streamed(self) -> Generator[Event, None, bool]:
        """Events until the stream ends or breaks; returns whether the job has ended."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": self._position}
        how: dict[str, Any] = {"headers": headers, "patience": SILENCE_SECONDS, "stream": True}
        try:
            response = self._transport.send("GET", self._path, retried=False, **how)
        except UNAVAILABLE:
            return False
        with response:
            if response.status_code == requests.codes.no_content:
                return True
            with suppress(HTTPError, OSError):
                for message in messages(iter(lambda: response.raw.read1(65536), b"")):
                    with self._expected():
                        event = _event(message.id, message.type, json.loads(message.data))
                    yield from self._told(message.id, event)
        self._heard = time.monotonic()
        return False

    def _listed(self) -> Iterator[Event]:
        try:
            response = self._transport.send("GET", self._path, query={"after": self._position})
        except UNAVAILABLE:
            if self._heard is None or time.monotonic() - self._heard > PATIENCE_SECONDS:
                raise
            return
        self._heard = time.monotonic()
        with self._expected():
            listed = [
                (each["id"], each["type"], each["data"]) for each in response.json()["events"]
            ]
            found = [(each[0], _event(*each)) for each in listed]
        for event_id, event in found:
            yield from self._told(event_id, event)

    def _told(self, event_id: str, event: Event | None) -> Iterator[Event]:
        self._position = event_id
        if event:
            yield event

    @contextmanager
    def _expected(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise UnexpectedAnswer(self._transport.base_url, 200) from error


def _event(event_id: str, kind: str, data: Any) -> Event | None:
    """The event; None if it is of a kind that only newer services know."""
    moment = datetime.fromtimestamp(int(event_id.partition("-")[0]) / 1000, UTC)
    if kind == "status":
        return StatusEvent(event_id, moment, data["status"])
    if kind == "epoch":
        return EpochEvent(event_id, moment, decode(Epoch, data))
    return None
