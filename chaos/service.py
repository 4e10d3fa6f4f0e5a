"""The service under test: real processes, each program behind a proxy of its own to Redis."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from chaos.proxy import Proxy
from shared.settings import Settings
from shared.store import Store
from standalone import Program, Stack
from standalone.stack import worker_and_api

LEASE_SECONDS = 2.0


class Service:
    """`with Service() as service:` brings up Redis, workers and the API on free ports.

    At the end all of them are killed.

    Args:
        workers: how many, named worker-1, worker-2, …
        environment: of the programs, beside the one of this process.
        programs: the worker and the API, as `standalone.stack.worker_and_api` lists them.
        report: gets a line for every death of a process.
    """

    def __init__(
        self,
        workers: int = 2,
        environment: Mapping[str, str] | None = None,
        programs: Callable[[str, int], Iterable[Program]] = worker_and_api,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.workers = [f"worker-{number}" for number in range(1, workers + 1)]
        self.proxies: dict[str, Proxy] = {}
        self._programs = programs
        self._exits = contextlib.ExitStack()
        lease = {"NEURON_LEASE_SECONDS": f"{LEASE_SECONDS:g}"}
        self.stack = Stack(
            environment={**os.environ, **lease, **(environment or {})},
            programs=self._behind_proxies,
            report=report,
        )

    def __enter__(self) -> Self:
        self._folder = self._exits.enter_context(tempfile.TemporaryDirectory(prefix="chaos-"))
        try:
            self._exits.enter_context(self.stack)
            self._exits.callback(self.stack.kill)
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def url(self) -> str:
        """Where the API answers."""
        return self.stack.url

    def store(self) -> Store:
        """The job store, from inside and past the proxies."""
        return Store(Settings(redis_url=self.stack.redis_url))

    def redis(self) -> "redis.Redis":
        """A client of Redis, past the proxies, that never tries again."""
        once = Retry(NoBackoff(), 0)
        return redis.Redis.from_url(self.stack.redis_url, socket_timeout=1, retry=once)

    def process(self, name: str) -> psutil.Process | None:
        """The parent process of a program; None while it is being started again."""
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            return psutil.Process(self.stack.process(name).pid)
        return None

    def children(self, name: str) -> list[psutil.Process]:
        """The processes that do a program's work: started by ours, so ours to kill."""
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = self.process(name)
            return [child for child in parent.children() if _works(child)] if parent else []
        return []

    def trainer(self, job_id: str, fence: int) -> str | None:
        """The worker that trains a job under a fencing token, as its log tells."""
        for line in self.stack.log_path.read_text().splitlines():
            name, _, text = line.partition(" | ")
            if job_id in text and '"training"' in text and json.loads(text)["fence"] == fence:
                return name.strip()
        return None

    def heal(self) -> None:
        """End the faults of all proxies."""
        for proxy in self.proxies.values():
            proxy.heal()

    def _behind_proxies(self, host: str, port: int) -> Iterator[Program]:
        target = Path(self.stack.redis_url.removeprefix("unix://"))
        worker, api = self._programs(host, port)
        for program in (*(replace(worker, name=name) for name in self.workers), api):
            socket = Path(self._folder, f"{program.name}.sock")
            proxy = self._exits.enter_context(Proxy(target, socket))
            self.proxies[program.name] = proxy
            own = ("env", f"NEURON_REDIS_URL={proxy.url}")
            yield replace(program, command=(*own, *program.command))


def _works(process: psutil.Process) -> bool:
    """Neither a helper of Python's multiprocessing nor dead already."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return not any("_tracker" in part for part in process.cmdline())
    return False
