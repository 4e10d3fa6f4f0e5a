"""Clients that send slowly, or stop in the middle, are cut off and keep nobody else waiting."""

import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import orjson
import pytest

from standalone.process import Program
from standalone.stack import Stack, worker_and_api
from tests.conftest import Http, eventually, running
from tests.service.test_jobs import SMALL

CLIENTS = 100
#: More than two processes have threads that read.
TOO_MANY = 200
NAMED = "/v1/models/slow"
JSON, NPY = "application/json", "application/x-npy"
#: What a client that means well is answered within, on a machine that is busy, too.
SECONDS = 20


def hasty_programs(host: str, port: int) -> Iterator[Program]:
    """The service's own, with less patience for heads."""
    worker, api = worker_and_api(host, port)
    yield worker
    yield replace(api, command=(*api.command, "--http1-header-read-timeout", "1000"))


@pytest.fixture(scope="module")
def hasty() -> Iterator[Stack]:
    with running({"NEURON_BODY_SECONDS": "1"}, programs=hasty_programs) as stack:
        with Http(stack.url) as http:
            job = http.run_job(SMALL)
            assert http.put(NAMED, json={"job_id": job["id"]}).ok
            http.await_model("slow")
        yield stack


@contextlib.contextmanager
def connected(stack: Stack, start: bytes) -> Iterator[socket.socket]:
    """A connection on which so much was sent."""
    address = urlsplit(stack.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 60) as connection:
        connection.sendall(start)
        yield connection


def all_of(connection: socket.socket) -> bytes:
    """All that comes until the service hangs up."""
    answer = b""
    while part := connection.recv(10_000):
        answer += part
    return answer


def start(path: str, length: int, kind: str = JSON) -> bytes:
    """A request whose body ends after its first byte."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + b"{"


SLOW = {
    "create": start("/v1/jobs", 100),
    "predict": start(f"{NAMED}/predict", 5_000),
    "infer": start("/v2/models/slow/infer", 5_000),
    "npy": start(f"{NAMED}/predict", 50_000_000, NPY),
}


def check_408(answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.match(b"HTTP/1.1 408 ", head)
    assert {b"connection: close", b"content-type: application/problem+json"} <= set(
        head.lower().split(b"\r\n")
    )
    problem = orjson.loads(body)
    assert problem["status"] == 408
    assert problem["detail"] == "The body did not come within 1 s."


def test_a_body_that_stops_is_answered_with_408_and_cut_off(hasty: Stack) -> None:
    with contextlib.ExitStack() as opened:
        slow = [opened.enter_context(connected(hasty, begun)) for begun in SLOW.values()]
        for connection in slow:
            check_408(all_of(connection))


def test_a_body_that_trickles_is_answered_with_408_and_cut_off(hasty: Stack) -> None:
    with connected(hasty, SLOW["npy"]) as connection:
        connection.settimeout(0.02)
        answer = b""

        def trickle() -> bool:
            nonlocal answer
            with contextlib.suppress(TimeoutError):
                part = connection.recv(10_000)
                answer += part
                if not part:
                    return True
            connection.sendall(b"x")
            return False

        with contextlib.suppress(ConnectionError):  # it still sends when it is cut off
            eventually(trickle, "it is cut off")
        check_408(answer)


def test_a_body_that_comes_late_gets_a_whole_408(hasty: Stack) -> None:
    def come_late() -> bytes | None:
        with connected(hasty, SLOW["create"]) as connection:
            answer = connection.recv(1)
            with contextlib.suppress(ConnectionError):  # if it is too late even for that
                connection.sendall(b" " * 99)
                answer += all_of(connection)
        length = re.search(rb"(?i)content-length: (\d+)", answer)
        whole = length and len(answer.partition(b"\r\n\r\n")[2]) == int(length[1])
        return answer if whole else None

    check_408(eventually(come_late, "a body within a second of its answer"))


def test_a_head_that_does_not_come_is_cut_off(hasty: Stack) -> None:
    starts = [b"", b"POST /v1/jo", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"]
    with contextlib.ExitStack() as opened:
        for connection in [opened.enter_context(connected(hasty, begun)) for begun in starts]:
            assert all_of(connection) == b""


def answers(http: Http, job: str) -> None:
    """Everybody else is answered, on connections of their own, so by both processes."""
    fresh = {"Connection": "close"}
    for _ in range(3):
        assert http.get("/healthz", headers=fresh, timeout=SECONDS).ok
        assert http.get(f"/v1/jobs/{job}", headers=fresh, timeout=SECONDS).ok
        rows = {"inputs": [[1, 2]]}
        assert http.post(f"{NAMED}/predict", json=rows, headers=fresh, timeout=SECONDS).ok
        assert http.post("/v1/jobs", json=SMALL, headers=fresh, timeout=SECONDS).ok


def test_many_slow_clients_keep_nobody_waiting_and_leave_nothing_behind(hasty: Stack) -> None:
    small = start(f"{NAMED}/predict", 100)  # a few of these have no deadline
    bodies = [SLOW["create"], SLOW["predict"], SLOW["infer"], start("/v1/jobs", 5_000)] * 2
    starts = [*bodies, small, b"POST /v1/jo"] * (CLIENTS // 10)
    with Http(hasty.url) as http:
        job = http.run_job(SMALL)["id"]
        for _ in range(2):  # reads that had not ended would leave too few threads
            with contextlib.ExitStack() as opened:
                slow = [opened.enter_context(connected(hasty, begun)) for begun in starts]
                answers(http, job)
                for begun, connection in zip(starts, slow, strict=True):
                    if begun in bodies:
                        check_408(all_of(connection))
        for _ in range(CLIENTS):
            assert http.post("/v1/jobs", json={"name": 1}, timeout=SECONDS).status_code == 422


def test_more_slow_bodies_than_threads_get_503_at_once_and_the_rest_is_answered(
    hasty: Stack,
) -> None:
    with Http(hasty.url) as http, contextlib.ExitStack() as opened:
        starts = [SLOW["create"]] * TOO_MANY

        def refused() -> bool:
            """Whether so many came before the first ones were cut off."""
            slow = [opened.enter_context(connected(hasty, begun)) for begun in starts]
            for _ in range(8):
                fresh = {"Connection": "close"}
                assert http.get("/v1/jobs", headers=fresh, timeout=SECONDS).ok
            found = [all_of(connection) for connection in slow]
            refusals = [answer for answer in found if answer.startswith(b"HTTP/1.1 503 ")]
            assert all(b"\r\nretry-after: 1\r\n" in answer.lower() for answer in refusals)
            for answer in found:
                if answer not in refusals:
                    check_408(answer)
            return bool(refusals)

        eventually(refused, "too many at once")
