"""Answers to the questions that clients ask, from a thread of the worker's parent process.

So they wait for no job, however long its training takes; the kernel leaves the other threads alone.
"""

import time
from threading import Event
from typing import Any

import orjson
import structlog
from redis.exceptions import RedisError

from shared import questions
from shared.dataset import Data, DataCache
from shared.questions import ForecastQuestion, Question, StepsQuestion
from shared.store import Store
from worker.forecast import forecast
from worker.replay import replay
from worker.training import Diverged

_log = structlog.get_logger()


def answer_forever(store: Store, stopping: Event) -> None:
    """Answer until told to stop; a Redis that is away is waited for."""
    cache = DataCache(store.settings.dataset_cache_bytes)
    away = False
    while not stopping.is_set():
        try:
            asked = questions.take(store.redis)
            if asked:
                name, text = asked
                questions.reply(store.redis, name, _answer_or_log(text, cache))
            away = False
        except RedisError as error:
            if not away:
                _log.warning("questions wait for Redis", reason=str(error))
            away = True
            stopping.wait(1)


def _answer_or_log(asked: bytes, cache: DataCache) -> bytes:
    """The answer as JSON, in which numbers that are not finite are null; no question ends this."""
    started = time.perf_counter()
    try:
        question = questions.read(asked)
        answer = orjson.dumps(_answer(question, cache))
    except Exception:
        _log.exception("question failed")
        return questions.FAILED
    _log.debug("answered", kind=question.kind, seconds=round(time.perf_counter() - started, 6))
    return answer


def _answer(question: Question, cache: DataCache) -> dict[str, Any]:
    data = cache.get(question.specification)
    if isinstance(question, ForecastQuestion):
        return forecast(question.specification, data).model_dump()
    return _steps(question, data)


def _steps(question: StepsQuestion, data: Data) -> dict[str, Any]:
    wanted = question.specification
    rule = wanted.hyperparameters
    weights = question.weights or data.initial_weights(rule.weight_low, rule.weight_high).tolist()
    where = question.model_dump(include={"epoch", "step", "count", "every"})
    try:
        return {"steps": replay(wanted, data, weights, **where)}
    except Diverged as error:
        return {"diverged_at": error.step}
