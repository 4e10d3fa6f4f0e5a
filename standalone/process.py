"""One supervised process: in a session of its own, read line by line, started again when it dies.

A thread per process starts it and waits for it. That thread lives as long as the process is
wanted, because the kernel's death signal follows the thread that forked, not its process.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from standalone.watchdog import Watchdog

FIRST_DELAY, LONGEST_DELAY, LONG_LIFE = 0.1, 5.0, 10.0
PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec there is no safe time for it.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Program:
    """What to run. `grace`: seconds from SIGTERM to SIGKILL; `inherited`: open files to pass on."""

    name: str
    command: tuple[str, ...]
    grace: float
    inherited: tuple[int, ...] = ()
    umask: int = -1


class Listener(Protocol):
    """Hears what a process writes and how it dies; called from threads of the process."""

    def heard(self, name: str, line: str) -> None:
        """Take a line that `name` wrote."""

    def died(self, process: "Process", cause: str, delay: float) -> None:
        """Learn that the process died unasked and will be started again in `delay` seconds."""


class Process:
    """Keeps one program running from `start` to `stop`."""

    def __init__(
        self,
        program: Program,
        directory: Path,
        environment: Mapping[str, str],
        listener: Listener,
        watchdog: Watchdog,
    ) -> None:
        self.program = program
        self.name = program.name
        #: How often it died unasked.
        self.deaths = 0
        #: Its last lines.
        self.tail: deque[str] = deque(maxlen=20)
        self._directory, self._environment = directory, dict(environment)
        self._listener, self._watchdog = listener, watchdog
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        # Whoever signals holds it, and so does whoever reaps: a signal never meets a reused id.
        # Reentrant, because a signal handler may kill while its own thread holds it.
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._supervise, name=self.name, daemon=True)

    @property
    def pid(self) -> int:
        """Its process and group id. Raises ProcessLookupError between a death and a start."""
        child = self._child
        if child is None:
            raise ProcessLookupError(f"{self.name} is not running")
        return child.pid

    def start(self) -> None:
        """Start it, and again whenever it dies; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Send SIGTERM, then after the grace SIGKILL to its whole group; wait until it is gone."""
        self._stopping.set()
        with contextlib.suppress(ProcessLookupError):
            self.send(signal.SIGTERM)
        self._thread.join(self.program.grace)
        self.kill()
        self._thread.join()

    def kill(self) -> None:
        """Send SIGKILL to its whole group, for good. Does not wait: safe in a signal handler."""
        self._stopping.set()
        with self._lock:
            if self._child:
                _kill_group(self._child.pid)

    def send(self, number: int) -> None:
        """Signal the process alone. Raises ProcessLookupError when it is not running."""
        with self._lock:
            os.kill(self.pid, number)

    def _supervise(self) -> None:
        delay = 0.0
        while not self._stopping.is_set():
            started = time.monotonic()
            cause = self._run()
            if self._stopping.is_set():
                return
            delay = next_delay(delay, time.monotonic() - started)
            self.deaths += 1
            self._listener.died(self, cause, delay)
            self._stopping.wait(delay)

    def _run(self) -> str:
        """Run it once and say how it ended."""
        try:
            child = self._spawn()
        except OSError as error:
            self._hear(str(error))
            return "cannot be started"
        if child is None:
            return "not wanted any more"
        pump = threading.Thread(target=self._pump, args=(child.stdout,), daemon=True)
        pump.start()
        while (code := self._reap(child)) is None:
            time.sleep(0.05)
        pump.join(1)
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            self._child = subprocess.Popen(
                self.program.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env=self._environment,
                pass_fds=self.program.inherited,
                umask=self.program.umask,
                start_new_session=True,
                preexec_fn=stop_with_parent(),  # noqa: PLW1509 (one system call, loaded beforehand)
            )
            self._watchdog.add(self._child.pid, self.program.grace)
            return self._child

    def _reap(self, child: subprocess.Popen[bytes]) -> int | None:
        """Return the exit code once it has ended, and kill what it left of its group."""
        with self._lock:
            code = child.poll()
            if code is not None:
                _kill_group(child.pid)
                self._watchdog.remove(child.pid)
                self._child = None
            return code

    def _pump(self, output: IO[bytes]) -> None:
        with output:
            for line in iter(lambda: output.readline(65536), b""):
                self._hear(line.decode(errors="replace").rstrip())

    def _hear(self, line: str) -> None:
        self.tail.append(line)
        # A closed terminal must not stop the reading: the child would block on a full pipe.
        with contextlib.suppress(OSError, ValueError):
            self._listener.heard(self.name, line)


def next_delay(previous: float, lived: float) -> float:
    """Return the seconds to wait before the next start of a process that lived `lived` seconds."""
    if lived >= LONG_LIFE:
        return FIRST_DELAY
    return min(max(2 * previous, FIRST_DELAY), LONGEST_DELAY)


def stop_with_parent() -> Callable[[], None] | None:
    """Make a `preexec_fn`: SIGTERM for the child when the thread that forks ends (Linux only)."""
    if _libc is None:
        return None
    prctl, parent = _libc.prctl, os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
