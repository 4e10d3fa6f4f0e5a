"""Redis, worker and API together: started in this order, stopped in the opposite one."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import redis
import requests

from standalone import data_directory, ports, redis_server
from standalone.errors import OpenToAllError, StartError
from standalone.process import Process, Program
from standalone.watchdog import Watchdog

ROOT = Path(__file__).parent.parent
REDIS_GRACE, WORKER_GRACE, API_GRACE = 10.0, 15.0, 5.0
#: Seconds until it has to answer. An embedded Redis may have much to load: it may take its time
#: as long as it lives.
EMBEDDED_REDIS, OWN_REDIS, API, WORKER = 300.0, 10.0, 60.0, 180.0


def worker_and_api(host: str, port: int) -> tuple[Program, ...]:
    """List the programs beside Redis, in the order of their start."""
    python = (sys.executable, "-m")
    return (
        Program("worker", (*python, "worker"), WORKER_GRACE),
        Program("api", (*python, "api", "--host", host, "--port", str(port)), API_GRACE),
    )


class Stack:
    """`with Stack() as stack:` brings everything up and, at the end, down.

    `data_dir` None: data in a temporary folder, removed at the end. `redis_url`: use that Redis
    and start none. `port` 0: any free one. `report` gets a line for every step; `echo` gets the
    children's output as (name, line), which otherwise goes to `log_path`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        data_dir: Path | None = None,
        redis_url: str | None = None,
        programs: Callable[[str, int], Iterable[Program]] = worker_and_api,
        environment: Mapping[str, str] | None = None,
        report: Callable[[str], None] = lambda _: None,
        echo: Callable[[str, str], None] | None = None,
    ) -> None:
        self.host, self.port, self.redis_url = host, port, redis_url or ""
        #: Whether the Redis is ours.
        self.embedded = not redis_url
        self.stopping = False
        self._data_dir, self._programs = data_dir, programs
        self._environment = dict(os.environ if environment is None else environment)
        self._report, self._echo = report, echo
        self._processes: dict[str, Process] = {}
        self._started = False
        self._log_lock = threading.Lock()
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the API answers, e.g. http://127.0.0.1:8000."""
        return ports.url_of(self.host, self.port)

    @property
    def has_keys(self) -> bool:
        """Whether requests need an API key; without, only this machine may be served."""
        return bool(self._environment.get("NEURON_API_KEYS_FILE"))

    def process(self, name: str) -> Process:
        """Return `redis` (unless it is one's own), `worker` or `api`."""
        return self._processes[name]

    def start(self) -> None:
        """Return when everything answers. Raises StartError; then nothing is left running."""
        try:
            self._start()
            self._started = True
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop what was started, the last first; may be called again."""
        self.stopping = True
        self._exits.close()

    def kill(self) -> None:
        """Send SIGKILL to everything, without waiting: safe in a signal handler."""
        self.stopping = True
        for process in list(self._processes.values()):
            process.kill()

    def _start(self) -> None:
        if not self.has_keys and not ports.is_loopback(self.host):
            raise OpenToAllError(self.host)
        self._check_keys()
        self.port = ports.free_port(self.host, self.port)
        self._exits.callback(ports.reserve(self.host, self.port).close)
        self._scratch = Path(tempfile.mkdtemp(prefix="neuron-"))
        self._exits.callback(shutil.rmtree, self._scratch, ignore_errors=True)
        self.data_dir, redis_program = self._scratch, None
        if self.embedded:
            redis_program = self._prepare_redis()
        self.log_path = self.data_dir / "log"
        self._watchdog = Watchdog(self._scratch)
        self._exits.callback(self._watchdog.close)
        if redis_program:
            self._run(redis_program)
            self._wait("Redis", EMBEDDED_REDIS, lambda: redis_server.answers(self.redis_url))
        else:
            self._wait_for_own_redis()
        self._start_programs()

    def _prepare_redis(self) -> Program:
        server = redis_server.find()
        directory = self._data_dir or self._scratch / "data"
        self.data_dir = data_directory.create(directory)
        lock = data_directory.lock(self.data_dir)
        self._exits.callback(os.close, lock)
        server.check_can_read(self.data_dir)
        socket = data_directory.socket_path(self.data_dir, self._scratch)
        self.redis_url = f"unix://{socket}"
        self._report(f"starting {server} ({server.binary})")
        command = server.command(self.data_dir, socket)
        return Program("redis", command, REDIS_GRACE, inherited=(lock,), umask=0o077)

    def _wait_for_own_redis(self) -> None:
        shown = without_secrets(self.redis_url)
        try:
            self._wait(f"Redis at {shown}", OWN_REDIS, lambda: redis_server.answers(self.redis_url))
        except redis.AuthenticationError as error:
            raise StartError(f"Redis at {shown} wants another password than it gets.") from error
        except ValueError as error:
            raise StartError(
                "NEURON_REDIS_URL must begin with redis://, rediss:// or unix://."
            ) from error

    def _check_keys(self) -> None:
        """Ask the API's own command: a server would start its workers again and again."""
        if not self.has_keys:
            return
        file = str(Path(self._environment["NEURON_API_KEYS_FILE"]).absolute())
        self._environment["NEURON_API_KEYS_FILE"] = file
        command = (sys.executable, "-m", "api.keys", "check", file)
        checked = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
        if checked.returncode:
            raise StartError(checked.stderr.removeprefix("Error: ").strip())

    def _start_programs(self) -> None:
        self._environment |= {
            "NEURON_REDIS_URL": self.redis_url,
            "NEURON_HOST": self.host,
            "NEURON_PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
            "PROMETHEUS_MULTIPROC_DIR": str(self._scratch / "metrics"),
        }
        for program in self._programs(ports.address_of(self.host), self.port):
            self._run(program)
        self._wait("the API", API, lambda: self._is_ok("/healthz"))
        compiles = "the worker (the first start compiles the kernel: several seconds)"
        self._wait(compiles, WORKER, lambda: self._is_ok("/readyz"))

    def _run(self, program: Program) -> None:
        process = Process(program, ROOT, self._environment, self, self._watchdog)
        self._processes[program.name] = process
        process.start()
        self._exits.callback(process.stop)

    def _wait(self, what: str, seconds: float, ready: Callable[[], bool]) -> None:
        self._report(f"waiting for {what}")
        deadline = time.monotonic() + seconds
        while not ready():
            dead = [process for process in self._processes.values() if process.deaths]
            if dead:
                raise StartError(f"{dead[0].name} ended at its start:\n{last_lines(dead[0])}")
            if time.monotonic() > deadline:
                tails = "\n".join(map(last_lines, self._processes.values()))
                raise StartError(f"No answer from {what} within {seconds:g} s.\n{tails}".rstrip())
            time.sleep(0.05)

    def _is_ok(self, path: str) -> bool:
        with requests.Session() as session:
            session.trust_env = False
            try:
                return session.get(self.url + path, timeout=5).ok
            except requests.RequestException:
                return False

    def heard(self, name: str, line: str) -> None:
        """Pass on a line that a child wrote."""
        if self._echo:
            self._echo(name, line)
            return
        with self._log_lock, self.log_path.open("a") as log:
            log.write(labelled(name, line) + "\n")

    def died(self, process: Process, cause: str, delay: float) -> None:
        """Tell of a child's death, except at the start, which it ends."""
        if not self._started or self.stopping:
            return
        tail = "" if self._echo else "\n" + last_lines(process)
        self._report(f"{process.name} died ({cause}); starting it again in {delay:g} s{tail}")


def labelled(name: str, line: str) -> str:
    """Put the line behind a column with the name."""
    return f"{name:<6} | {line}"


def last_lines(process: Process) -> str:
    """Quote what the process wrote last."""
    return "\n".join(labelled(process.name, line) for line in process.tail)


def without_secrets(url: str) -> str:
    """Drop user, password and query (which may hold a password, too) from the URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
