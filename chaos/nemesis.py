"""Faults, as a seed decides: when, which and whom. Only processes that the harness started."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import psutil
from redis.exceptions import RedisError

from chaos.proxy import Fault
from chaos.service import LEASE_SECONDS, Service
from chaos.workload import ENDS, LONG, Client
from shared.store import PREFIX
from worker.sweeper import PRESENCE_SECONDS

SWEEP_SECONDS = 0.5
#: For a machine that is busy: threads and processes do not get their turn at once.
MARGIN_SECONDS = 2.0
#: After that, a job whose worker is lost must belong to nobody, or to another one.
TAKEN_BACK_SECONDS = LEASE_SECONDS + SWEEP_SECONDS + MARGIN_SECONDS
#: After that, it must be running again if there is a free worker.
RUNNING_AGAIN_SECONDS = TAKEN_BACK_SECONDS + MARGIN_SECONDS
#: Runs that are shorter do without the scenes that need a while.
SCENES_FROM_SECONDS = 20
ZOMBIE = "wake a zombie"


@dataclass
class Damage:
    """What was done, and how long jobs that were watched took to run again."""

    faults: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class Nemesis:
    """Disturbs the service.

    Args:
        service: whose processes and connections may suffer.
        client: creates the jobs whose recovery is watched.
        seed: decides everything.
    """

    def __init__(self, service: Service, client: Client, seed: int) -> None:
        self.damage = Damage()
        self._service, self._client, self._store = service, client, service.store()
        self._random = random.Random(seed)
        self._ends: list[tuple[float, Callable[[], None]]] = []
        self._enough = threading.Event()
        self._plain: tuple[tuple[int, Callable[[], None]], ...] = (
            (2, self._kill_redis),
            (2, self._kill_worker),
            (4, self._kill_child),
            (1, self._kill_api),
            (2, self._kill_api_worker),
            (1, self._stop_redis),
            (4, self._stop_worker),
            (1, self._stop_api_worker),
            (2, self._kill_connections),
            (6, self._disturb_line),
        )
        self._scenes: tuple[tuple[int, Callable[[], None]], ...] = (
            (1, self._wake_a_zombie),
            (2, self._watch_recovery),
        )

    def run(self, seconds: float) -> None:
        """Disturb for about so long, then undo what can be undone."""
        deadline = time.monotonic() + seconds
        scenes = seconds >= SCENES_FROM_SECONDS
        opening = [self._wake_a_zombie, self._watch_recovery, self._wake_a_zombie] * scenes
        weights, faults = zip(*(self._plain + self._scenes * scenes), strict=True)
        while time.monotonic() < deadline and not self._enough.is_set():
            fault = opening.pop(0) if opening else self._random.choices(faults, weights)[0]
            with suppress(psutil.NoSuchProcess, ProcessLookupError, RedisError):
                fault()
            self._pause(self._random.uniform(0.3, 2))
        self._undo_all()
        if scenes and not self.damage.faults[ZOMBIE]:
            self._complain("a run without a zombie proves little: all was never well for a while")

    def stop(self) -> None:
        """Let `run` return soon."""
        self._enough.set()

    def _kill_redis(self) -> None:
        self._count("kill redis")
        self._service.stack.process("redis").send(signal.SIGKILL)

    def _kill_worker(self) -> None:
        self._count("kill worker")
        self._service.stack.process(self._any_worker()).send(signal.SIGKILL)

    def _kill_api(self) -> None:
        self._count("kill api")
        self._service.stack.process("api").send(signal.SIGKILL)

    def _kill_child(self) -> None:
        if child := self._any_child(self._any_worker()):
            self._count("kill worker's child")
            child.kill()

    def _kill_api_worker(self) -> None:
        if child := self._any_child("api"):
            self._count("kill api's child")
            child.kill()

    def _stop_redis(self) -> None:
        self._stop("redis", self._service.process("redis"), self._random.uniform(0.5, 3))

    def _stop_worker(self) -> None:
        name = self._any_worker()
        seconds = LEASE_SECONDS * self._random.uniform(1.2, 2.5)
        if self._random.random() < 0.25:
            self._stop("worker", self._service.process(name), seconds)
        else:
            self._stop("worker's child", self._any_child(name), seconds)

    def _stop_api_worker(self) -> None:
        self._stop("api's child", self._any_child("api"), self._random.uniform(1, 4))

    def _kill_connections(self) -> None:
        self._count("kill connections")
        with self._service.redis() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def _disturb_line(self) -> None:
        name = self._random.choice([*self._service.proxies])
        fault = self._random.choice([*Fault])
        self._count(f"{fault} {'api' if name == 'api' else 'worker'}'s line")
        proxy = self._service.proxies[name]
        proxy.inflict(fault, self._random.uniform(0.05, 0.5))
        self._later(self._random.uniform(0.3, 2 * LEASE_SECONDS), proxy.heal)

    def _stop(self, what: str, process: psutil.Process | None, seconds: float) -> None:
        if process:
            self._count(f"stop {what}")
            process.suspend()
            self._later(seconds, process.resume)

    # Scenes: several acts in an order that leaves nothing to chance, around a job of their own.

    def _wake_a_zombie(self) -> None:
        """A worker sleeps while its job goes on elsewhere, and wakes when no one trains it."""
        if not (scene := self._begin_scene()):
            return
        self._count(ZOMBIE)
        sleeping = self._service.children(scene.worker)
        for child in sleeping:
            child.suspend()
            self._later(4 * TAKEN_BACK_SECONDS, child.resume)
        taken = self._until(lambda: self._fence(scene.job_id) > scene.fence, TAKEN_BACK_SECONDS)
        if not taken:
            self._complain(f"job {scene.job_id} was not taken back from a worker that sleeps")
        self._until(lambda: self._went_on(scene), 4 * LEASE_SECONDS)
        for name in self._service.workers:
            for child in [] if name == scene.worker else self._service.children(name):
                child.kill()
        self._undo_all()

    def _watch_recovery(self) -> None:
        """A worker is killed and nothing else: how long until its job runs again?"""
        if not (scene := self._begin_scene()):
            return
        whole = self._random.random() < 0.4
        self._count(f"kill {'worker' if whole else 'children'} and watch")
        if whole:
            self._service.stack.process(scene.worker).send(signal.SIGKILL)
        else:
            for child in self._service.children(scene.worker):
                child.kill()
        begun = time.monotonic()
        if not self._until(lambda: self._fence(scene.job_id) > scene.fence, TAKEN_BACK_SECONDS):
            self._complain(f"job {scene.job_id} was not taken back from a lost worker")
        again = self._until(lambda: self._runs_again(scene), 2 * RUNNING_AGAIN_SECONDS)
        took = time.monotonic() - begun
        if again:
            self.damage.recoveries.append(took)
        if not whole and took > RUNNING_AGAIN_SECONDS:  # the killed children's places are free
            self._complain(f"job {scene.job_id} ran again only after {took:.1f} s")

    def _begin_scene(self) -> "Scene | None":
        """A job that is running while nothing else is disturbed."""
        self._undo_all()
        if not self._until(self._all_is_well, 3 * PRESENCE_SECONDS):
            return None
        job_id = self._client.create({**LONG, "priority": "high"}).job_id
        self._until(lambda: self._epoch(job_id) > 0, 10)
        fence, running = self._fence(job_id), self._field(job_id, "status") == "running"
        self._until(lambda: bool(self._service.trainer(job_id, fence)), 1)
        worker = self._service.trainer(job_id, fence)
        return Scene(job_id, fence, worker) if running and worker else None

    def _all_is_well(self) -> bool:
        """Whether all are up, for so long that nothing left over from the dead counts as them."""
        processes = [self._service.process(name) for name in self._service.workers]
        ages = [time.time() - process.create_time() for process in processes if process]
        with self._service.redis() as client:
            uptime = cast(dict[str, int], client.info("server"))["uptime_in_seconds"]
        return (
            len(ages) == len(processes) == self._store.workers()
            and min(ages) > PRESENCE_SECONDS
            and uptime > LEASE_SECONDS
        )

    def _went_on(self, scene: "Scene") -> bool:
        """Whether another worker has trained the job for an epoch, or to its end."""
        with self._service.redis() as client:
            key = f"{PREFIX}:job:{scene.job_id}"
            status, fence, epoch, claimed = client.hmget(
                key, ["status", "fence", "epoch", "claimed_epoch"]
            )
        again = int(fence or 0) > scene.fence and status == b"running"
        return (status or b"").decode() in ENDS or (again and int(epoch or 0) > int(claimed or 0))

    def _runs_again(self, scene: "Scene") -> bool:
        status = self._field(scene.job_id, "status")
        return status in ENDS or (self._fence(scene.job_id) > scene.fence and status == "running")

    def _fence(self, job_id: str) -> int:
        return int(self._field(job_id, "fence") or 0)

    def _epoch(self, job_id: str) -> int:
        return int(self._field(job_id, "epoch") or 0)

    def _field(self, job_id: str, name: str) -> str:
        with self._service.redis() as client:
            return (client.hget(f"{PREFIX}:job:{job_id}", name) or b"").decode()

    # Time

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self._enough.is_set():
            with suppress(RedisError, ProcessLookupError):
                if condition():
                    return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until and not self._enough.is_set():
            due = [end for end in self._ends if end[0] <= now]
            self._ends = [end for end in self._ends if end[0] > now]
            for _, undo in due:
                _try(undo)
            time.sleep(0.02)

    def _later(self, seconds: float, undo: Callable[[], None]) -> None:
        self._ends.append((time.monotonic() + seconds, undo))

    def _undo_all(self) -> None:
        for _, undo in self._ends:
            _try(undo)
        self._ends = []

    def _any_worker(self) -> str:
        return self._random.choice(self._service.workers)

    def _any_child(self, name: str) -> psutil.Process | None:
        children = self._service.children(name)
        return self._random.choice(children) if children else None

    def _count(self, fault: str) -> None:
        self.damage.faults[fault] += 1

    def _complain(self, violation: str) -> None:
        if not self._enough.is_set():
            self.damage.violations.append(violation)


@dataclass(frozen=True)
class Scene:
    """A job of the nemesis, running on a worker."""

    job_id: str
    fence: int
    worker: str


def _try(undo: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        undo()
