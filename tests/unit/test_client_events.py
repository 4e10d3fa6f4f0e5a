"""The parser of event streams, and how `watch` gets over what may break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

import client.events
from client import ConnectionFailed, EpochEvent, NeuronClient, NotFound, StatusEvent
from client import UnexpectedAnswer as Unexpected
from client.events import Message, messages
from client.results import Epoch, decode
from tests.unit.fake_service import (
    PUBLISHED,
    WITH,
    Answer,
    Asked,
    Service,
    epoch_document,
    problem,
    running_service,
)

EPOCH = epoch_document(PUBLISHED[WITH]["epochs"][0])
TOLD: list[tuple[str, str, Any]] = [
    ("1735689600000-0", "status", {"status": "queued"}),
    ("1735689600001-0", "status", {"status": "running"}),
    ("1735689600002-0", "epoch", EPOCH),
    ("1735689600002-1", "status", {"status": "succeeded"}),
]
IDS = [event_id for event_id, _, _ in TOLD]
FULL = problem(503, "All event streams are taken.")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_stream_reads_the_same_however_it_is_split_and_whatever_ends_its_lines(
    end: str, size: int
) -> None:
    lines = [
        "\ufeffretry: 1000", "", ": comment", "id: 1-0", "event: status", "data: {", "data:  ü}",
        "", "data", "", "event: lost", "", "id: 2-0", "id: bad\0", "data:x:y", "unknown: 1", "", "",
        "id: 3-0", "data: cut",
    ]  # fmt: skip
    raw = end.join(lines).encode()
    chunks = (raw[i : i + size] for i in range(0, len(raw), size))
    assert list(messages(chunks)) == [
        Message("1-0", "status", "{\n ü}"),
        Message("1-0", "message", ""),
        Message("2-0", "message", "x:y"),
    ]


def stream(*told: tuple[str, str, Any], fault: str = "") -> Answer:
    text = "".join(f"id: {i}\nevent: {kind}\ndata: {json.dumps(d)}\n\n" for i, kind, d in told)
    headers = {"Content-Type": "text/event-stream"}
    return Answer(200, f"retry: 1000\n\n: heartbeat\n\n{text}", headers, fault)


def listed(*told: tuple[str, str, Any]) -> Answer:
    events = [{"id": i, "type": kind, "time": "", "data": data} for i, kind, data in told]
    return Answer(200, {"job_id": "j1", "events": events, "has_more": False, "next": None})


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as started:
        yield started


@pytest.fixture
def neuron(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[NeuronClient]:
    monkeypatch.setattr(client.events, "POLL_SECONDS", 0.01)
    with NeuronClient(service.url, timeout=5.0, retries=0) as opened:
        yield opened


def test_watch_gives_typed_events_and_ends_with_the_job(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(stream(*TOLD), Answer(204))
    queued, _, epoch, succeeded = neuron.watch("j1")
    assert isinstance(queued, StatusEvent)
    assert (queued.status, queued.time.isoformat()) == ("queued", "2025-01-01T00:00:00+00:00")
    assert isinstance(epoch, EpochEvent)
    assert epoch.epoch == decode(Epoch, EPOCH)
    assert succeeded.id == IDS[-1]
    assert service.headers("Last-Event-ID") == ["0", IDS[-1]]
    assert service.headers("Accept") == ["text/event-stream"] * 2


def test_watch_after_an_event_begins_there(service: Service, neuron: NeuronClient) -> None:
    service.answers(Answer(204))
    assert list(neuron.watch("j1", after=IDS[2])) == []
    assert service.headers("Last-Event-ID") == [IDS[2]]


@pytest.mark.parametrize(
    "breaks",
    [
        [stream(*TOLD[:3]), stream(TOLD[3])],
        [stream(*TOLD, fault="cut"), stream(*TOLD[2:])],
        [stream(), listed(), stream(*TOLD)],
        [Answer(fault="drop"), listed(*TOLD[:1]), stream(*TOLD[1:])],
        [FULL, listed(*TOLD[:2]), FULL, listed(), FULL, listed(*TOLD[2:])],
        [
            stream(*TOLD[:1]),
            FULL,
            FULL,
            FULL,
            listed(*TOLD[1:3]),
            problem(502, ""),
            listed(TOLD[3]),
        ],
    ],
)
def test_watch_goes_on_after_every_break_without_a_gap_or_a_repeat(
    service: Service, neuron: NeuronClient, breaks: list[Answer]
) -> None:
    script = iter([*breaks, Answer(204)])
    seen: list[str] = []

    def respond(asked: Asked) -> Answer:
        position = asked.headers.get("last-event-id") or asked.path.partition("after=")[2]
        assert position == (seen[-1] if seen else "0")
        return next(script)

    service.respond = respond
    for event in neuron.watch("j1"):
        seen.append(event.id)  # noqa: PERF401 (the service looks at it meanwhile)
    assert seen == IDS


@pytest.mark.usefixtures("neuron")
def test_watch_takes_silence_for_a_break(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.events, "SILENCE_SECONDS", 0.0)
    service.answers(Answer(fault="hang"), listed(*TOLD), Answer(204))
    with NeuronClient(service.url, timeout=1.0, retries=0) as hasty:
        assert [event.id for event in hasty.watch("j1")] == IDS


def test_watch_passes_over_kinds_of_events_that_it_does_not_know(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(stream(TOLD[0], ("1735689600003-0", "news", [])), Answer(204))
    assert [event.id for event in neuron.watch("j1")] == IDS[:1]
    assert service.headers("Last-Event-ID")[1] == "1735689600003-0"


def test_watch_says_at_once_when_there_is_no_such_job(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(problem(404, "No job j1."))
    with pytest.raises(NotFound):
        next(neuron.watch("j1"))
    assert len(service.asked) == 1


def test_watch_gives_up_at_once_when_the_service_never_answered() -> None:
    with NeuronClient("http://127.0.0.1:1", retries=0) as nobody, pytest.raises(ConnectionFailed):
        next(nobody.watch("j1"))


def test_watch_gives_up_when_the_service_stays_away(
    service: Service, neuron: NeuronClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.events, "PATIENCE_SECONDS", 0.2)
    service.answers(stream(TOLD[0]), Answer(fault="drop"))
    watched = neuron.watch("j1")
    assert [event.id for event in islice(watched, 1)] == IDS[:1]
    with pytest.raises(ConnectionFailed):
        next(watched)
    assert len(service.asked) > 4


@pytest.mark.parametrize(
    "strange",
    [
        Answer(200, "<html>", {"Content-Type": "text/html"}),
        stream(("no-id", "status", {"status": "queued"})),
        stream((IDS[0], "status", ["queued"])),
        stream((IDS[0], "epoch", {"epoch": 1})),
    ],
)
def test_an_answer_of_another_service_is_told_as_such(
    service: Service, neuron: NeuronClient, strange: Answer
) -> None:
    service.answers(strange)
    with pytest.raises(Unexpected):
        next(neuron.watch("j1"))
