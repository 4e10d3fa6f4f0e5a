"""The Celery application of the workers."""

import gc
import time
from functools import cache, partial
from multiprocessing.sharedctypes import RawValue
from threading import Event, Thread
from typing import Any

import structlog
from celery.signals import (
    setup_logging,
    worker_init,
    worker_process_init,
    worker_ready,
    worker_shutting_down,
)
from redis.exceptions import RedisError

from shared import queue, telemetry
from shared.errors import UnsafeRedis
from shared.logs import configure_logging
from shared.settings import read_settings
from shared.store import Store
from worker import transport
from worker.answers import answer_forever
from worker.runner import Runner
from worker.sweeper import sweep_forever
from worker.warmup import KernelMismatch, warm_up
from worker.webhooks import deliver_forever

settings = read_settings()
configure_logging(settings.log_level)
transport.register()
app = queue.make_celery(settings)
_log = structlog.get_logger()

#: Whether the worker is to stop: for the threads of this process, and, as memory that the forked
#: children share (without a lock, which a killed child could leave locked), for them.
_stopping = Event()
_children_stop = RawValue("b", 0)


@app.task(name=queue.TRAIN)
def train(_job_id: str) -> None:
    """Train the job whose turn it is; the message only tells that there is one."""
    _runner().run()


@setup_logging.connect
def _keep_logging(**_: Any) -> None:
    """As it is: a receiver of this signal keeps Celery from setting up its own."""


@worker_init.connect
def _prepare(**_: Any) -> None:
    try:
        warm_up()
        _check_redis()
    except (KernelMismatch, UnsafeRedis) as error:
        # Celery logs what a signal handler raises and goes on; only this stops it.
        raise SystemExit(f"The worker cannot start: {error}") from error
    gc.freeze()  # What is loaded by now stays: neither this process nor its children look again.
    gc.enable()


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
    telemetry.start("neuron-worker")
    _runner()


@cache
def _runner() -> Runner:
    """The runner of this process; made after the fork, as connections cannot be shared."""
    publish = partial(queue.publish, queue.make_publisher(settings))
    return Runner(Store(settings, patient=True), lambda: bool(_children_stop.value), publish)


@worker_ready.connect
def _sweep(**_: Any) -> None:
    arguments = (Store(settings), queue.make_publisher(settings), _stopping)
    Thread(target=sweep_forever, args=arguments, name="sweeper", daemon=True).start()


@worker_ready.connect
def _send_webhooks(**_: Any) -> None:
    arguments = (Store(settings, patient=True), _stopping)
    Thread(target=deliver_forever, args=arguments, name="webhooks", daemon=True).start()


@worker_ready.connect
def _answer_questions(**_: Any) -> None:
    arguments = (Store(settings, patient=True), _stopping)
    Thread(target=answer_forever, args=arguments, name="answers", daemon=True).start()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    _children_stop.value = 1
    _stopping.set()
