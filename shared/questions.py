"""Questions that a worker answers at once, beside its training: they need its compiled kernel.

Keys, in the hash slot of the jobs:

    {neuron}:questions      list    ids of questions, the oldest first
    {neuron}:question:<id>  string  what is asked, JSON; gone when nobody waits any more
    {neuron}:answer:<id>    list    the answer, JSON

A worker's parent process answers, so that a question does not wait for jobs. Nothing about it is
durable: when it or its answer is lost, the client asks again.
"""

import time
import uuid
from typing import Annotated, Any, Literal, cast

import redis
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from shared.errors import NoAnswer
from shared.job import Specification
from shared.store import BLOCK_SECONDS, PREFIX, Store

QUESTIONS = f"{PREFIX}:questions"
#: How long the API waits for an answer: making the largest data set takes a second or two.
ANSWER_SECONDS = 10.0
#: How many questions may wait.
MOST_WAITING = 32
#: The answer of a worker that met an error.
FAILED = b"null"


class AnswerFailed(Exception):
    """The worker met an error, which its log describes."""


class StepsQuestion(BaseModel):
    """Which steps of a training run to replay, and from where.

    Attributes:
        weights: at the beginning of the epoch; None for the initial ones.
        epoch: counted from 1.
        step: the first that is wanted, counted from 1.
        count: how many at most.
        every: the distance between them.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["steps"] = "steps"
    specification: Specification
    weights: list[float] | None
    epoch: int
    step: int
    count: int
    every: int


class ForecastQuestion(BaseModel):
    """What training by a specification would come to."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["forecast"] = "forecast"
    specification: Specification


Question = Annotated[StepsQuestion | ForecastQuestion, Field(discriminator="kind")]
_QUESTION: TypeAdapter[Question] = TypeAdapter(Question)


def ask(store: Store, question: Question) -> bytes:
    """A worker's answer, as JSON.

    Raises:
        NoAnswer: if no worker is alive or answers in time, or too many questions wait already.
        AnswerFailed: if the worker met an error.
    """
    if not store.workers():
        raise NoAnswer("none is alive")
    client, name = store.redis, uuid.uuid4().hex
    milliseconds = int(ANSWER_SECONDS * 1000)
    pipeline = client.pipeline(transaction=True)
    pipeline.set(f"{PREFIX}:question:{name}", question.model_dump_json(), px=milliseconds)
    pipeline.rpush(QUESTIONS, name)
    pipeline.pexpire(QUESTIONS, milliseconds)
    _, waiting, _ = pipeline.execute()
    if waiting > MOST_WAITING:
        client.lrem(QUESTIONS, 1, name)
        raise NoAnswer(f"{MOST_WAITING} questions wait for one already")
    deadline = time.monotonic() + ANSWER_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        timeout = max(0.01, min(left, BLOCK_SECONDS))
        found = cast(Any, client.blpop([f"{PREFIX}:answer:{name}"], timeout=timeout))
        if found and found[1] == FAILED:
            raise AnswerFailed
        if found:
            return cast(bytes, found[1])
    raise NoAnswer("none answered in time")


def take(client: "redis.Redis") -> tuple[str, bytes] | None:
    """Id and text (see `read`) of the oldest question, if somebody still waits for its answer.

    None after a short wait without any.
    """
    found = cast(Any, client.blpop([QUESTIONS], timeout=BLOCK_SECONDS))
    if not found:
        return None
    name = found[1].decode()
    asked = cast(bytes | None, client.getdel(f"{PREFIX}:question:{name}"))
    return (name, asked) if asked else None


def read(asked: bytes) -> Question:
    """The question that a text asks.

    Raises:
        pydantic.ValidationError: if it is none that this version knows.
    """
    return _QUESTION.validate_json(asked)


def reply(client: "redis.Redis", name: str, answer: bytes) -> None:
    """Answer a question, with JSON or `FAILED`."""
    key = f"{PREFIX}:answer:{name}"
    pipeline = client.pipeline(transaction=True)
    pipeline.rpush(key, answer)
    pipeline.pexpire(key, int(ANSWER_SECONDS * 1000))
    pipeline.execute()
