"""How long a process may use what it knows of models and epochs."""

from typing import Any

import pytest
from redis.exceptions import ConnectionError as NoRedis

from api.serving import ServedJobs, ServedModels
from shared.errors import ModelNotFound, StaleModels
from shared.models import Source, Version, is_name


class Backend:
    """Stands where Redis does: counts what is asked, and can be away."""

    def __init__(self) -> None:
        self.now, self.asked, self.read_all, self.away = 100.0, 0, 0, False
        self.number = 1
        self.there = True

    def clock(self) -> float:
        return self.now

    def revision(self) -> int:
        self.asked += 1
        if self.away:
            raise NoRedis
        return self.number * 2 + self.there

    def version(self) -> Version:
        return Version(self.number, 0, 0, self.source("0" * 32))

    def all(self) -> tuple[int, dict[str, Version]]:
        self.read_all += 1
        return self.number * 2 + self.there, {"add": self.version()} if self.there else {}

    def source(self, job_id: str, epoch: int | None = None) -> Source:
        self.asked += 1
        if self.away:
            raise NoRedis
        return Source(job_id, "", epoch or self.number, "", (1.0, 1.0))


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def served(backend: Backend, monkeypatch: Any) -> ServedModels:
    monkeypatch.setattr(ServedModels, "_poll", lambda _: None)
    return ServedModels(backend, backend.clock)  # type: ignore[arg-type]


def test_within_a_second_nothing_is_asked(backend: Backend, served: ServedModels) -> None:
    served.get("add")
    asked = backend.asked
    backend.now += 0.99
    assert served.get("add").version == 1
    assert backend.asked == asked


def test_after_a_second_without_an_answer_nothing_is_served(
    backend: Backend, served: ServedModels
) -> None:
    served.get("add")
    backend.away = True
    backend.now += 1
    with pytest.raises(StaleModels):
        served.get("add")
    backend.away = False
    assert served.get("add").version == 1


def test_models_are_read_only_when_they_changed(backend: Backend, served: ServedModels) -> None:
    served.get("add")
    served.refresh()
    assert backend.read_all == 1
    backend.number = 2
    served.refresh()
    assert served.get("add").version == 2
    backend.there = False
    served.refresh()
    with pytest.raises(ModelNotFound):
        served.get("add")


def test_what_is_known_is_as_old_as_the_question(
    backend: Backend, served: ServedModels, monkeypatch: Any
) -> None:
    def slowly() -> int:
        backend.now += 0.9
        return 3

    served.get("add")
    monkeypatch.setattr(backend, "revision", slowly)
    served.refresh()
    monkeypatch.undo()
    asked = backend.asked
    backend.now += 0.2
    served.get("add")
    assert backend.asked > asked


def test_epochs_of_jobs_are_kept_for_half_a_second(backend: Backend) -> None:
    jobs = ServedJobs(backend, backend.clock)  # type: ignore[arg-type]
    first = jobs.get("0" * 32)
    assert jobs.get("0" * 32) is first
    assert jobs.get("0" * 32, 7).source.epoch == 7
    backend.number = 2
    backend.now += 0.5
    assert jobs.get("0" * 32).source.epoch == 2
    backend.away = True
    backend.now += 0.5
    with pytest.raises(NoRedis):
        jobs.get("0" * 32)


def test_few_epochs_are_kept(backend: Backend) -> None:
    jobs = ServedJobs(backend, backend.clock)  # type: ignore[arg-type]
    for number in range(2_500):
        jobs.get(f"{number:032x}")
    assert len(jobs._kept) <= 1_000


@pytest.mark.parametrize("name", ["a", "add-2.0_x", "x" * 64, "0" * 31, "0" * 33, "g" * 32])
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name", ["", "x" * 65, "a/b", "a b", "é", "0" * 32, "AB" * 16, ".", "..", "stats", "a\n"]
)
def test_no_names(name: str) -> None:
    assert not is_name(name)
