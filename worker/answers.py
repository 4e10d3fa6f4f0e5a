"""Answers to the questions that clients ask, from a thread of the worker's parent process.

So they wait for no job, however long its training takes; the kernel leaves the other threads alone.
"""

import time
from threading import Event
from typing import Any

import structlog
from redis.exceptions import RedisError

from shared import questions
from shared.dataset import DataCache
from shared.questions import Question
from shared.store import Store
from worker.replay import replay
from worker.training import Diverged

_log = structlog.get_logger()


def answer_forever(store: Store, stopping: Event) -> None:
    """Answer until told to stop; a Redis that is away is waited for."""
    cache = DataCache(store.settings.dataset_cache_bytes)
    while not stopping.is_set():
        try:
            _answer_next(store, cache)
        except RedisError as error:
            _log.warning("questions wait for Redis", reason=str(error))
            stopping.wait(1)
        except Exception:
            _log.exception("question failed")


def _answer_next(store: Store, cache: DataCache) -> None:
    asked = questions.take(store.redis)
    if asked is None:
        return
    name, question = asked
    started = time.perf_counter()
    questions.reply(store.redis, name, _answer(question, cache))
    _log.debug("answered", seconds=round(time.perf_counter() - started, 6))


def _answer(question: Question, cache: DataCache) -> dict[str, Any]:
    wanted = question.specification
    data = cache.get(wanted)
    rule = wanted.hyperparameters
    weights = question.weights or data.initial_weights(rule.weight_low, rule.weight_high).tolist()
    where = question.model_dump(include={"epoch", "step", "count", "every"})
    try:
        return {"steps": replay(wanted, data, weights, **where)}
    except Diverged as error:
        return {"diverged_at": error.step}
