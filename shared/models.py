"""Named models: names that point at the weights of a committed epoch.

Keys, in the hash slot of the jobs:

    {neuron}:models                     hash     name → its current version
    {neuron}:models:revision            counter  of all changes
    {neuron}:model:<name>               hash     number of the current and of the newest version
    {neuron}:model:<name>:versions      hash     number → version

A version holds the result of its epoch, so that it outlives its job. Its bytes are a line of JSON
and the result as the worker committed it: Lua would round its numbers.

Every method raises `redis.exceptions.RedisError` when Redis cannot do it.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import orjson
import redis

from shared.errors import (
    JobNotFound,
    ModelChanged,
    ModelNotFound,
    ModelVersionNotFound,
    NameTaken,
    NoWeights,
    TooManyModels,
)
from shared.store import PREFIX, job_keys, load_script

MODELS, REVISION = f"{PREFIX}:models", f"{PREFIX}:models:revision"
#: Every process keeps all models in memory, and reads them all when one changes.
MOST_MODELS = 1_000
#: How many versions of a model are kept.
MOST_VERSIONS = 1_000
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NO_NAME = re.compile(r"[0-9a-f]{32}|\.+|stats", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """The weights of a committed epoch, and where they come from."""

    job_id: str
    owner: str
    epoch: int
    digest: str
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a named model.

    Attributes:
        number: counted from 1.
        before: what was served when this version was put; 0 if nothing was.
        created_at: milliseconds since 1970.
        source: what it serves.
    """

    number: int
    before: int
    created_at: int
    source: Source


def is_name(text: str) -> bool:
    """Whether a model may have this name: it is no job's id, and URLs keep it as it is."""
    return bool(_NAME.fullmatch(text)) and not _NO_NAME.fullmatch(text)


def _keys(name: str) -> list[str]:
    if not is_name(name):
        raise ModelNotFound(name)
    state = f"{PREFIX}:model:{name}"
    return [MODELS, f"{state}:versions", state, REVISION]


class Models:
    """The named models in one Redis."""

    def __init__(self, client: "redis.Redis") -> None:
        self.redis = client

    @cached_property
    def _put(self) -> Any:
        return load_script(self.redis, "put_model")

    @cached_property
    def _select(self) -> Any:
        return load_script(self.redis, "select_model")

    @cached_property
    def _delete(self) -> Any:
        return load_script(self.redis, "delete_model")

    def put(
        self,
        name: str,
        job_id: str,
        epoch: int | None = None,
        *,
        expected: int | None = None,
        owner: str | None = None,
    ) -> bool:
        """Point the name at an epoch of a job (the last committed one if None).

        Putting what is current already changes nothing.

        Args:
            name: see `is_name`.
            job_id: the job.
            epoch: counted from 1.
            expected: the version that must be current, 0 for none; None if any may be.
            owner: whose models may be replaced; None for everybody's.

        Returns:
            Whether the name is new.

        Raises:
            JobNotFound, NoWeights, ModelNotFound, ModelChanged, NameTaken, TooManyModels
        """
        outcome, version = self._put(
            keys=[*job_keys(job_id)[:2], *_keys(name)],
            args=[
                name, job_id, epoch or 0, "" if expected is None else expected,
                MOST_MODELS, MOST_VERSIONS, "*" if owner is None else owner,
            ],
        )  # fmt: skip
        errors = {
            b"no job": JobNotFound(job_id),
            b"no weights": NoWeights(job_id, epoch),
            b"changed": ModelChanged(name, int(version)),
            b"taken": NameTaken(name),
            b"full": TooManyModels(MOST_MODELS),
        }
        if error := errors.get(outcome):
            raise error
        return bool(outcome == b"created")

    def select(self, name: str, number: int, *, expected: int | None = None) -> None:
        """Serve an earlier or later version again.

        Raises:
            ModelNotFound, ModelVersionNotFound
            ModelChanged: if another version than `expected` is current.
        """
        arguments = [name, "" if expected is None else expected, number]
        outcome = self._select(keys=_keys(name), args=arguments)
        errors = {
            b"no model": ModelNotFound(name),
            b"no version": ModelVersionNotFound(name, number),
            b"changed": ModelChanged(name),
        }
        if error := errors.get(outcome):
            raise error

    def delete(self, name: str) -> None:
        """Forget the name and its versions.

        Raises:
            ModelNotFound
        """
        if not self._delete(keys=_keys(name), args=[name]):
            raise ModelNotFound(name)

    def get(self, name: str) -> tuple[Version, list[Version]]:
        """The current version, and those that are kept, oldest first.

        Raises:
            ModelNotFound
        """
        current, versions, _, _ = _keys(name)
        pipeline = self.redis.pipeline(transaction=True)
        pipeline.hget(current, name)
        pipeline.hvals(versions)
        entry, entries = pipeline.execute()
        if entry is None:
            raise ModelNotFound(name)
        return _version(entry), sorted(map(_version, entries), key=lambda version: version.number)

    def revision(self) -> int:
        """Grows with every change of any model."""
        return int(cast(bytes | None, self.redis.get(REVISION)) or 0)

    def all(self) -> tuple[int, dict[str, Version]]:
        """The revision, and the current version of every name."""
        pipeline = self.redis.pipeline(transaction=True)
        pipeline.get(REVISION)
        pipeline.hgetall(MODELS)
        revision, entries = pipeline.execute()
        return int(revision or 0), {
            name.decode(): _version(entry) for name, entry in entries.items()
        }

    def source(self, job_id: str, epoch: int | None = None) -> Source:
        """The weights of a job's epoch (the last committed one if None).

        Raises:
            JobNotFound, NoWeights
        """
        record, epochs, *_ = job_keys(job_id)
        pipeline = self.redis.pipeline(transaction=True)
        pipeline.hget(record, "owner")
        pipeline.lindex(epochs, (epoch or 0) - 1)
        owner, result = pipeline.execute()
        if owner is None:
            raise JobNotFound(job_id)
        if result is None:
            raise NoWeights(job_id, epoch)
        return _source(job_id, owner.decode(), result)

    def last_epoch(self, job_id: str) -> int:
        """How many epochs a job has committed; 0 if there is no such job."""
        return int(self.redis.llen(job_keys(job_id)[1]))


def _version(entry: bytes) -> Version:
    header, _, result = entry.partition(b"\n")
    fields = orjson.loads(header)
    source = _source(fields["job_id"], fields["owner"], result)
    return Version(fields["version"], fields["before"], fields["created_at"], source)


def _source(job_id: str, owner: str, result: bytes) -> Source:
    epoch = orjson.loads(result)
    return Source(job_id, owner, epoch["epoch"], epoch["digest"], tuple(epoch["weights"]))
