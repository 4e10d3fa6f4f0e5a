"""Verification: a job that trains again what another job trained, and compares it bit for bit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import orjson

from shared.errors import JobNotFound
from shared.job import Epoch
from shared.store import Claim, Store


class Mismatch(Exception):
    """What is stored is not what training gives.

    Attributes:
        epoch: the first that differs; 0 for the initial weights.
    """

    def __init__(self, epoch: int, what: str) -> None:
        super().__init__(f"Epoch {epoch} differs from what is stored: {what}.")
        self.epoch = epoch


def check_initial_weights(store: Store, claim: Claim, weights: Sequence[float]) -> None:
    """Compare the initial weights with those of the job that the claimed one verifies, if any.

    Raises:
        Mismatch
    """
    if claim.verifies is None:
        return
    with _stored(0):
        initial = store.get(claim.verifies).initial_weights
    if not _same(initial, list(weights)):
        raise Mismatch(0, "the initial weights")


def check_epochs(store: Store, claim: Claim, results: Sequence[Epoch]) -> None:
    """Compare epochs with those of the job that the claimed one verifies, if any.

    Raises:
        Mismatch
    """
    if claim.verifies is None:
        return
    first, last = results[0].epoch, results[-1]
    with _stored(first):
        stored = store.epochs(claim.verifies, after=first - 1, limit=len(results))
    for result, line in zip(results, stored, strict=False):
        own = result.model_dump(exclude={"duration_seconds"})
        other = orjson.loads(line)
        different = [name for name, value in own.items() if not _same(value, other.get(name))]
        if different:
            raise Mismatch(result.epoch, ", ".join(different))
    if len(stored) < len(results):
        raise Mismatch(results[len(stored)].epoch, "it is not there")
    if last.epoch == claim.specification.hyperparameters.epochs:
        _check_record(store, claim.verifies, last)


@contextmanager
def _stored(epoch: int) -> Iterator[None]:
    """Something that is stored of the job, if it has not been deleted meanwhile."""
    try:
        yield
    except JobNotFound:
        raise Mismatch(epoch, "the job has been deleted") from None


def _check_record(store: Store, job_id: str, last: Epoch) -> None:
    """The record repeats the last epoch, for those who poll and predict."""
    with _stored(last.epoch):
        record = store.get(job_id)
    if record.epoch == last.epoch and not (
        _same(record.weights, last.weights)
        and _same(record.accuracy, last.accuracy)
        and record.digest == last.digest
    ):
        raise Mismatch(last.epoch, "the job's own weights, accuracy or digest")


def _same(one: object, other: object) -> bool:
    """Equal to the bit: JSON tells 0.0 from -0.0, and has one text for each double."""
    return orjson.dumps(one) == orjson.dumps(other)
