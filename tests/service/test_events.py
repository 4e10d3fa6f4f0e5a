"""Live events on the running service."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import jsonschema
import orjson
import pytest
import requests

from client import EpochEvent, NeuronClient, StatusEvent
from client.events import Message, messages
from standalone.stack import Stack
from tests.conftest import Http, eventually, kill_children, running
from tests.reference import GOLDEN, specification
from tests.service.test_jobs import LONG, SMALL
from tests.service.test_redis_away import soon

SSE = {"Accept": "text/event-stream"}
#: Of the service with small limits: streams of each of its two processes, seconds.
STREAMS, HEARTBEAT = 2, 0.5
#: A second of training.
TWELVE: dict[str, Any] = {
    "dataset": {"training_size": 10_000_000, "generator": "pcg64"},
    "hyperparameters": {"epochs": 12},
}
#: A job with so much to tell that no socket buffer holds it.
TALKATIVE: dict[str, Any] = {
    "dataset": {"training_size": 1, "test_size": 1, "input_size": 64},
    "hyperparameters": {"epochs": 6000},
}


@pytest.fixture(scope="module")
def small_stack() -> Iterator[Stack]:
    """A service of our own with small limits, whose processes may be killed."""
    limits = {
        "NEURON_MAX_OPEN_STREAMS": str(STREAMS),
        "NEURON_STREAM_HEARTBEAT_SECONDS": str(HEARTBEAT),
    }
    with running(limits) as stack:
        yield stack


@pytest.fixture
def small(small_stack: Stack) -> Iterator[Http]:
    with Http(small_stack.url) as session:
        yield session


def make_job(http: Http, body: dict[str, Any]) -> str:
    answer = http.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return f"/v1/jobs/{answer.json()['id']}"


@pytest.fixture
def quiet_job(http: Http) -> Iterator[str]:
    """A job to which nothing happens; cancelled at the end."""
    yield from paused(http)


@pytest.fixture
def quiet_small_job(small: Http) -> Iterator[str]:
    yield from paused(small)


def paused(http: Http) -> Iterator[str]:
    path = make_job(http, LONG)
    assert http.post(f"{path}/pause").json()["status"] == "paused"
    yield path
    http.post(f"{path}/cancel")


def stream(http: Http, path: str, **headers: str) -> requests.Response:
    return http.get(f"{path}/events", headers=SSE | headers, stream=True)


def read(response: requests.Response) -> Iterator[Message]:
    with response:
        assert response.status_code == 200, response.text
        yield from messages(response.iter_content(None))


def listed(http: Http, path: str) -> list[Message]:
    """All events of the list, as a stream would say them."""
    found: list[dict[str, Any]] = []
    after = "0"
    while after:
        page = http.get(f"{path}/events", params={"after": after}).json()
        found += page["events"]
        after = page["next"]
    return [Message(e["id"], e["type"], orjson.dumps(e["data"]).decode()) for e in found]


def statuses(told: list[Message]) -> list[str]:
    return [orjson.loads(each.data)["status"] for each in told if each.type == "status"]


def test_the_list_tells_each_transition_and_each_epoch_once(http: Http) -> None:
    job = http.run_job(SMALL)
    path = f"/v1/jobs/{job['id']}"
    events = http.get(f"{path}/events").json()["events"]
    data = [event["data"] for event in events]
    epochs = http.get(f"{path}/epochs").json()["epochs"]
    assert data == [
        {"status": "queued"}, {"status": "running"}, *epochs, {"status": "succeeded"}
    ]  # fmt: skip
    for event in events:
        moment = datetime.fromisoformat(event["time"])
        assert event["id"].startswith(f"{round(moment.timestamp() * 1000)}-")
    assert job["created_at"] <= events[0]["time"] <= job["started_at"]
    assert events[-1]["time"] >= job["ended_at"]


def test_the_list_has_the_shape_that_the_document_promises(http: Http) -> None:
    page = http.get(f"/v1/jobs/{http.run_job(SMALL)['id']}/events").json()
    document = http.get("/openapi.json").json()
    offered = document["paths"]["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]["content"]
    assert set(offered) == {"application/json", "text/event-stream"}
    schema = offered["application/json"]["schema"] | {"components": document["components"]}
    jsonschema.validate(page, schema, cls=jsonschema.Draft202012Validator)


def test_pages_of_the_list_follow_each_other(http: Http) -> None:
    path = f"/v1/jobs/{http.run_job(SMALL)['id']}/events"
    found: list[Any] = []
    query: dict[str, Any] = {"limit": 4}
    while query:
        page = http.get(path, params=query).json()
        found += page["events"]
        assert page["has_more"] == (page["next"] is not None)
        query = {"limit": 4, "after": page["next"]} if page["has_more"] else {}
    assert found == http.get(path).json()["events"]
    assert len(found) == 6


def test_a_stream_says_what_the_list_says_and_ends_with_the_job(http: Http) -> None:
    path = f"/v1/jobs/{http.run_job(SMALL)['id']}"
    with stream(http, path) as response:
        text = response.text
        headers = response.headers
    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Accel-Buffering"] == "no"
    assert "Access-Control-Allow-Origin" not in headers
    assert text.count("retry:") == 1
    assert list(messages([text.encode()])) == listed(http, path)


def test_a_stream_goes_on_after_any_event_without_gap_or_repeat(http: Http) -> None:
    path = f"/v1/jobs/{http.run_job(SMALL)['id']}"
    events = listed(http, path)
    for i, event in enumerate(events[:-1], 1):
        assert list(read(stream(http, path, **{"Last-Event-ID": event.id}))) == events[i:]
        query = http.get(f"{path}/events", params={"after": event.id}, headers=SSE, stream=True)
        assert list(read(query)) == events[i:]
    last = {"Last-Event-ID": events[-1].id}
    assert stream(http, path, **last).status_code == 204
    both = http.get(f"{path}/events?after={events[0].id}", headers=SSE | last, stream=True)
    assert both.status_code == 204


def test_a_stream_tells_what_happens_meanwhile(http: Http, quiet_job: str) -> None:
    told = read(stream(http, quiet_job))
    seen = []
    for message in told:
        seen.append(message)
        if statuses(seen)[-1] == "paused":
            http.post(f"{quiet_job}/resume")
        if message.type == "epoch":
            http.post(f"{quiet_job}/cancel")
    assert statuses(seen)[-1] == "cancelled"
    assert seen == listed(http, quiet_job)
    assert stream(http, quiet_job, **{"Last-Event-ID": seen[-1].id}).status_code == 204


def test_a_stream_goes_on_through_the_end_of_a_job_that_was_retried(http: Http) -> None:
    diverging = next(run for run in GOLDEN["runs"] if run["diverged"])
    wanted = specification(diverging["request"]).model_dump(
        include={"dataset", "hyperparameters"}, mode="json"
    )
    path = f"/v1/jobs/{http.run_job(wanted)['id']}"
    first_end = listed(http, path)[-1]
    assert stream(http, path, **{"Last-Event-ID": first_end.id}).status_code == 204
    assert http.post(f"{path}/retry").status_code == 200
    told = list(read(stream(http, path, **{"Last-Event-ID": first_end.id})))
    assert statuses(told) == ["queued", "running", "failed"]
    assert list(read(stream(http, path))) == listed(http, path)
    assert stream(http, path, **{"Last-Event-ID": told[-1].id}).status_code == 204


def test_a_stream_ends_when_its_job_is_deleted(http: Http, quiet_job: str) -> None:
    told = read(stream(http, quiet_job))
    next(told)
    http.post(f"{quiet_job}/cancel")
    assert http.delete(quiet_job).status_code == 204
    assert set(statuses(list(told))) <= {"running", "queued", "paused", "cancelled"}
    assert stream(http, quiet_job).status_code == 404


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json", "*/*"])
def test_the_events_of_an_unknown_job_are_not_found(http: Http, accept: str) -> None:
    for job_id in ("x", "0" * 32):
        answer = http.get(f"/v1/jobs/{job_id}/events", headers={"Accept": accept})
        assert answer.status_code == 404


@pytest.mark.parametrize("bad", ["", "x", "-1", "1-", "-", "1-1-1", "$", "1 ", "9" * 20, "٣-0"])
def test_what_is_not_the_id_of_an_event_is_refused(http: Http, bad: str) -> None:
    path = f"/v1/jobs/{http.run_job(SMALL)['id']}/events"
    assert http.get(path, params={"after": bad}).status_code == 400
    assert http.get(path, params={"after": bad}, headers=SSE).status_code == 400
    header = {"Last-Event-ID": bad.encode().strip()}
    expected = 200 if bad == "1 " else 400
    assert http.get(path, headers={**SSE, **header}).status_code == expected


def test_a_silent_stream_says_that_it_lives(small: Http, quiet_small_job: str) -> None:
    began, beats = time.monotonic(), 0
    with stream(small, quiet_small_job) as response:
        lines = response.iter_lines(1)
        while beats < 3:
            beats += next(lines) == b": heartbeat"
    assert time.monotonic() - began >= 3 * HEARTBEAT, "only when it was silent"


def connect(stack: Stack, path: str) -> socket.socket:
    """Ask for a stream, on a connection of its own, and read nothing."""
    connection = socket.socket()
    connection.settimeout(30)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((stack.host, stack.port))
    connection.sendall(
        f"GET {path}/events HTTP/1.1\r\nHost: [::1]\r\nAccept: text/event-stream\r\n\r\n".encode()
    )
    return connection


def is_open(connection: socket.socket) -> bool:
    return connection.recv(12) == b"HTTP/1.1 200"


def take_all(stack: Stack, path: str, exits: ExitStack) -> None:
    """Open streams until both processes have as many as they take."""
    taken: list[socket.socket] = []

    def another() -> bool:
        connection = exits.enter_context(connect(stack, path))
        if is_open(connection):
            taken.append(connection)
        else:
            connection.close()
        return len(taken) == 2 * STREAMS

    eventually(another, "all streams are taken")
    assert not any(is_open(exits.enter_context(connect(stack, path))) for _ in range(10))


def test_more_streams_than_allowed_are_refused_and_the_rest_works(
    small_stack: Stack, small: Http, quiet_small_job: str
) -> None:
    with ExitStack() as exits:
        take_all(small_stack, quiet_small_job, exits)
        refused = stream(small, quiet_small_job)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert "polled" in refused.json()["detail"]
        told = statuses(listed(small, quiet_small_job))
        assert (told[0], told[-1]) == ("queued", "paused")
        ended = make_job(small, SMALL)
        eventually(lambda: "succeeded" in statuses(listed(small, ended)), "the job ends")
        last = listed(small, ended)[-1].id
        assert stream(small, ended, **{"Last-Event-ID": last}).status_code == 204


def test_clients_that_go_away_free_their_streams(
    small_stack: Stack, small: Http, quiet_small_job: str
) -> None:
    talkative = make_job(small, TALKATIVE)
    eventually(lambda: small.get(talkative).json()["status"] == "succeeded", "the job ends")
    for path in (quiet_small_job, talkative, quiet_small_job):
        with ExitStack() as exits:
            take_all(small_stack, path, exits)
    assert small.head(f"{quiet_small_job}/events", headers=SSE).status_code == 200


def test_a_head_request_takes_no_stream(small_stack: Stack, quiet_small_job: str) -> None:
    for _ in range(3 * STREAMS):
        with Http(small_stack.url) as other:
            assert other.head(f"{quiet_small_job}/events", headers=SSE).status_code == 200
    with ExitStack() as exits:
        take_all(small_stack, quiet_small_job, exits)


def test_watch_polls_while_all_streams_are_taken(
    small_stack: Stack, small: Http, quiet_small_job: str
) -> None:
    with ExitStack() as exits, NeuronClient(small_stack.url) as client:
        take_all(small_stack, quiet_small_job, exits)
        path = make_job(small, SMALL)
        watched = [event.id for event in client.watch(path.rpartition("/")[2])]
    assert watched == [message.id for message in listed(small, path)]


def ninth_decile(stack: Stack, path: str) -> float:
    """Seconds within which nine of ten requests are answered."""
    seconds = []
    for _ in range(100):
        with Http(stack.url) as other:
            seconds.append(other.get(path).elapsed.total_seconds())
    return sorted(seconds)[90]


def test_500_idle_clients_that_never_read_leave_the_service_responsive(
    stack: Stack, http: Http, quiet_job: str
) -> None:
    talkative = make_job(http, TALKATIVE)
    eventually(lambda: http.get(talkative).json()["status"] == "succeeded", "the job ends")
    usual = ninth_decile(stack, quiet_job)
    with ExitStack() as exits:
        for path in [talkative] * 20 + [quiet_job] * 480:
            exits.enter_context(connect(stack, path))
        eventually(lambda: stream(http, quiet_job).status_code == 503, "all streams are taken")
        eventually(lambda: ninth_decile(stack, quiet_job) < usual + 0.25, "answers as usual")
        assert http.run_job(SMALL)["status"] == "succeeded"

    def reopened() -> bool:
        with Http(stack.url) as other, stream(other, quiet_job) as response:
            return response.status_code == 200

    eventually(reopened, "a stream is free again")
    assert list(read(stream(http, talkative))) == listed(http, talkative)


def kill_api(stack: Stack) -> None:
    stack.process("api").send(signal.SIGKILL)


def kill_api_processes(stack: Stack) -> None:
    kill_children(stack, "api")


def kill_redis(stack: Stack) -> None:
    stack.process("redis").send(signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_api, kill_api_processes, kill_redis])
def test_watch_survives_the_death_of(
    kill: Callable[[Stack], None], small_stack: Stack, small: Http
) -> None:
    path = make_job(small, TWELVE)
    seen, killed = [], False
    with NeuronClient(small_stack.url) as client:
        for event in client.watch(path.rpartition("/")[2]):
            seen.append(event)
            if isinstance(event, EpochEvent) and not killed:
                kill(small_stack)
                killed = True
    assert killed
    assert isinstance(seen[-1], StatusEvent)
    assert seen[-1].status == "succeeded"
    assert [event.id for event in seen] == [message.id for message in listed(small, path)]
    epochs = [event.epoch.epoch for event in seen if isinstance(event, EpochEvent)]
    assert epochs == list(range(1, 13))


def test_a_stream_ends_when_redis_does_not_answer_and_none_begins(
    small_stack: Stack, small: Http, quiet_small_job: str
) -> None:
    told = read(stream(small, quiet_small_job))
    next(told)
    redis = small_stack.process("redis")
    redis.send(signal.SIGSTOP)
    try:
        assert all(message.type == "status" for message in told)
        with Http(small_stack.url) as other:
            assert soon(lambda: stream(other, quiet_small_job)).status_code == 503
    finally:
        redis.send(signal.SIGCONT)
    eventually(lambda: small.get("/readyz").ok, "Redis answers")
    assert statuses([next(read(stream(small, quiet_small_job)))]) == ["queued"]
