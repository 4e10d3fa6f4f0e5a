"""The Celery application of the workers: `celery -A worker.app worker`."""

import os
import socket
import threading
import time
from functools import cache
from typing import Any

import structlog
from celery.signals import worker_init, worker_process_init, worker_ready, worker_shutting_down
from redis.exceptions import RedisError

from shared import queue
from shared.errors import UnsafeRedis
from shared.logs import configure_logging
from shared.settings import Settings
from shared.store import Store
from worker.runner import Runner
from worker.warmup import KernelMismatch, warm_up

#: How often a worker says that it is alive, and how long that holds.
PRESENCE_SECONDS = 1.0
PRESENCE_LIFE_SECONDS = 5.0

configure_logging()
settings = Settings()
app = queue.make_celery(settings)
_stopping = threading.Event()
_log = structlog.get_logger()


@app.task(name=queue.TRAIN)
def train(job_id: str) -> None:
    """Train the neuron of a job; the record says whether there is anything to do."""
    _runner().run(job_id)


@worker_init.connect
def _prepare(**_: Any) -> None:
    try:
        warm_up()
        _check_redis()
    except (KernelMismatch, UnsafeRedis) as error:
        # Celery logs what a signal handler raises and goes on; only this stops it.
        raise SystemExit(f"The worker cannot start: {error}") from error


def _check_redis() -> None:
    store = Store(settings, patient=True)
    while True:
        try:
            return store.check()
        except RedisError as error:
            _log.warning("waiting for Redis", reason=str(error))
            time.sleep(1)


@worker_process_init.connect
def _make_runner(**_: Any) -> None:
    _runner()


@cache
def _runner() -> Runner:
    """The runner of this process; made after the fork, as connections cannot be shared."""
    return Runner(Store(settings, patient=True))


@worker_ready.connect
def _announce(**_: Any) -> None:
    threading.Thread(target=_stay_present, name="presence", daemon=True).start()


@worker_shutting_down.connect
def _withdraw(**_: Any) -> None:
    _stopping.set()


def _stay_present() -> None:
    store = Store(settings, patient=True)
    name = f"{socket.gethostname()}:{os.getpid()}"
    while True:
        try:
            if _stopping.is_set():
                store.withdraw_worker(name)
                return
            store.announce_worker(name, PRESENCE_LIFE_SECONDS)
        except RedisError:
            pass
        _stopping.wait(PRESENCE_SECONDS)
