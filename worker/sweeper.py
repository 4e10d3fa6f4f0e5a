"""What a worker's parent process does beside its children's training, once in half a second.

It says that the worker is alive, takes back jobs whose worker is lost, tells the workers of jobs
whose message is lost, and forgets jobs whose retention is over.
"""

import os
import socket
from collections.abc import Iterable
from functools import partial
from threading import Event

import structlog
from celery import Celery
from redis.exceptions import RedisError

from shared import queue, tracing
from shared.store import Store

SWEEP_SECONDS = 0.5
#: How long a worker counts as alive after it said so.
PRESENCE_SECONDS = 5.0

_log = structlog.get_logger()


def sweep_forever(store: Store, publisher: Celery, stopping: Event) -> None:
    """Sweep until told to stop; a Redis that is away is waited for."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    away = False
    while True:
        try:
            if stopping.is_set():
                return store.withdraw_worker(name)
            store.announce_worker(name, PRESENCE_SECONDS)
            _tell(store, publisher, store.sweep(partial(queue.waiting, publisher)))
            away = False
        except RedisError as error:
            if stopping.is_set():
                return None
            if not away:
                _log.warning("Redis is away", reason=str(error))
            away = True
        stopping.wait(SWEEP_SECONDS)


def _tell(store: Store, publisher: Celery, job_ids: Iterable[str]) -> None:
    """Publish the jobs, as long as the broker takes them; the others' turn comes again."""
    for job_id in job_ids:
        with tracing.working_for(store.origin(job_id)):
            if not queue.publish(publisher, job_id):
                return
