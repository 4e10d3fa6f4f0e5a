"""The access log: which requests have a line at which level, and how lines are written."""

import json
import os

import pytest

from api.notes import Note, Notes
from shared import logs
from shared.tracing import of_request

ME = "test-of-notes"


def note(route: str, status: int) -> Note:
    return Note(1.5, "GET", route, status, 0.00123456, of_request(ME, None), None)


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", [("/v1/jobs", 200), ("/healthz", 200), ("/v1/jobs", 503)]),
        ("info", [("/v1/jobs", 200), ("/v1/jobs", 503)]),
        ("warning", [("/v1/jobs", 503)]),
        ("error", []),
    ],
)
def test_the_level_says_which_requests_are_logged(
    level: str, shown: list[tuple[str, int]], capfd: pytest.CaptureFixture[str]
) -> None:
    notes = Notes(level)
    for route, status in [("/v1/jobs", 200), ("/healthz", 200), ("/v1/jobs", 503)]:
        notes.add(note(route, status))
    notes.work_off()
    # An application that an earlier test made may write what it had left.
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if ME in line]
    assert [(line["route"], line["status"]) for line in lines] == shown
    for line in lines:
        assert line["level"] == ("info" if line["status"] < 500 else "warning")
        assert line["timestamp"] == "1970-01-01T00:00:01.500000Z"
        assert (line["request_id"], line["duration_ms"]) == (ME, 1.235)


def test_lines_are_written_whole_in_pieces_that_a_pipe_does_not_mix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, data: written.append(data))
    logs.write_lines([{"number": i, "text": "x" * 100} for i in range(200)])
    assert 1 < len(written) < 10
    assert all(len(piece) <= 4096 and piece.endswith(b"\n") for piece in written)
    lines = b"".join(written).splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(200))


def test_what_json_cannot_say_is_still_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, data: written.append(data))
    logs.write_lines([{"event": "\ud800", "huge": 2**80}, {"event": ValueError("x")}])
    assert len(b"".join(written).splitlines()) == 2
