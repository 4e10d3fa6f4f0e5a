"""The queue may be elsewhere than the jobs: in another Redis, or in a RabbitMQ."""

import os
import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest
from celery import Celery

from benchmarks.serving import one_process
from shared import queue
from shared.settings import Settings
from standalone import redis_server
from standalone.errors import PortTakenError
from standalone.ports import free_port
from standalone.stack import Stack
from tests.conftest import Http, eventually, required, running
from tests.service.test_jobs import SMALL
from tests.service.test_lifecycle import MEDIUM, results, start


class Broker:
    """A broker process that can be stopped and started again."""

    def __init__(self, url: str, command: list[str], environment: dict[str, str]) -> None:
        self.url = url
        self._command, self._environment = command, environment
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, env={**os.environ, **self._environment}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self) -> None:
        # Not its group: RabbitMQ's script changes the user, and with that the session.
        started = psutil.Process(self._process.pid)
        for process in [started, *started.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        if "ERL_EPMD_PORT" in self._environment:
            # Erlang's port mapper ends only when it has noticed that its node is gone.
            eventually(self._kill_port_mapper, "the end of epmd")

    def _kill_port_mapper(self) -> bool:
        environment = {**os.environ, **self._environment}
        ran = subprocess.run(["epmd", "-kill"], env=environment, check=False, capture_output=True)
        return ran.returncode == 0


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def broker(
    request: pytest.FixtureRequest,
) -> Iterator[Broker]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if request.param == "redis":
            socket = folder / "broker.sock"
            made = Broker(f"unix://{socket}", list(redis_server.find().command(folder, socket)), {})
            eventually(lambda: redis_server.answers(made.url), "Redis")
        else:
            made = rabbitmq(folder)
        yield made
        made.kill()


def rabbitmq(folder: Path) -> Broker:
    server = required("rabbitmq-server")
    folder.chmod(0o777)  # started by root, it runs as a user of its own
    port = unclaimed_port()
    environment = {
        "RABBITMQ_NODENAME": f"test{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(unclaimed_port()),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(unclaimed_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        # It would look for work without a pause, on every core.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
    }
    broker = Broker(f"amqp://guest:guest@127.0.0.1:{port}//", [server], environment)
    # A worker that starts before it waits 2, 4, 6, … seconds between its attempts.
    eventually(partial(is_open, port), "RabbitMQ")
    return broker


def unclaimed_port() -> int:
    """A port that is free until the node takes it, seconds later: the system gives out others."""
    while True:
        with suppress(PortTakenError):
            return free_port("127.0.0.1", random.randrange(20_000, 30_000))


def is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture(scope="module")
def stack(broker: Broker) -> Iterator[Stack]:
    settings = {"NEURON_BROKER_URL": broker.url, "NEURON_LEASE_SECONDS": "2"}
    with running(settings, programs=one_process) as stack:
        yield stack


def test_the_messages_that_wait_are_counted(broker: Broker) -> None:
    with queue.make_publisher(Settings(broker_url=broker.url)) as publisher:
        assert queue.waiting(publisher) == 0
        for _ in range(3):
            assert queue.publish(publisher, "0" * 32)
        eventually(lambda: queue.waiting(publisher) == 3, "they are in the queue")


def test_jobs_are_trained(http: Http) -> None:
    for _ in range(5):
        assert http.run_job(SMALL)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{", {}), (b"[[],{},{}]", {"task": ["x"]}), (b"[[],{},{}]", {"timelimit": "x"}),
        (b"[[],{},{}]", {"id": None, "lang": None}), (b"[[],{},{}]", {"compression": "x"}),
    ],
    ids=repr,
)  # fmt: skip
def test_more_poison_than_a_worker_has_children_ends_none(
    http: Http, stack: Stack, broker: Broker, body: bytes, headers: dict[str, Any]
) -> None:
    with queue.make_publisher(Settings(broker_url=broker.url)) as publisher:
        for _ in range(4):
            poison(publisher, body, {"lang": "py", "task": queue.TRAIN, "id": "x", **headers})
    assert http.run_job(SMALL)["status"] == "succeeded"
    assert stack.process("worker").deaths == 0


def poison(publisher: Celery, body: bytes, headers: dict[str, Any]) -> None:
    with publisher.connection_or_acquire() as connection:
        channel = connection.default_channel
        kind = {"content_type": "application/json", "content_encoding": "utf-8"}
        message = channel.prepare_message(body.decode(), headers=headers, **kind)
        channel.basic_publish(message, exchange="", routing_key="neuron")


def test_a_job_is_accepted_while_the_broker_is_away_and_trained_when_it_is_back(
    http: Http, broker: Broker
) -> None:
    running = start(http, MEDIUM, epochs=1)
    broker.kill()
    answer = http.post("/v1/jobs", json=SMALL)
    assert answer.status_code == 202
    assert answer.elapsed.total_seconds() < 20, "one who keeps trying would give up later"
    assert http.await_end(running)["status"] == "succeeded"
    assert len(results(http, running)) == MEDIUM["hyperparameters"]["epochs"]
    broker.start()
    assert http.await_end(answer.json()["id"])["status"] == "succeeded"
