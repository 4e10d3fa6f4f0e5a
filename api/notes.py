"""Notes of the requests that a process answered: for the metrics and the access log.

A request only leaves a note, which costs it less than a microsecond. A thread counts and writes
several times a second, many notes at once. A process that is killed loses those of its last moment.
"""

import atexit
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from api import metrics
from shared import logs
from shared.tracing import Origin

#: How long a note waits at most.
SECONDS = 0.2
#: How many wait at most; beyond, when nobody reads the log, the oldest are dropped.
MOST = 100_000
#: Asked so often that they are logged at the level "debug" only.
QUIET = {"/healthz", "/readyz", "/metrics"}


class Note(NamedTuple):
    """An answered request; `ended` in seconds since 1970."""

    ended: float
    method: str
    route: str
    status: int
    seconds: float
    origin: Origin
    job_id: str | None

    def line(self) -> dict[str, Any]:
        """For the log: no headers, query or path, as these may hold secrets."""
        fields = {
            "event": "request",
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "duration_ms": round(self.seconds * 1000, 3),
            **self.origin.fields(),
            "level": "info" if self.status < 500 else "warning",
            "timestamp": datetime.fromtimestamp(self.ended, UTC),
        }
        return fields | ({"job_id": self.job_id} if self.job_id else {})


class Notes:
    """The notes of one process; `active` are the requests that it is answering."""

    def __init__(self, log_level: str) -> None:
        self.active: set[object] = set()
        self._waiting: deque[Note] = deque(maxlen=MOST)
        self._lowest = {"debug": 0, "info": 0, "warning": 500}.get(log_level, 600)
        self._quiet: set[str] = set() if log_level == "debug" else QUIET
        self._lock = threading.Lock()
        self._started = False

    def add(self, note: Note) -> None:
        """Leave a note; the first one starts the thread, in the process that answers."""
        self._waiting.append(note)
        if not self._started:
            self._started = True
            threading.Thread(target=self._keep_working_off, name="notes", daemon=True).start()
            atexit.register(self.work_off)

    def work_off(self) -> None:
        """Count and write what is waiting."""
        with self._lock:
            lines = []
            for _ in range(len(self._waiting)):
                note = self._waiting.popleft()
                metrics.count_request(note.route, note.method, note.status, note.seconds)
                if note.status >= self._lowest and note.route not in self._quiet:
                    lines.append(note.line())
            metrics.IN_FLIGHT.set(len(self.active))
            metrics.work_off_predictions()
            logs.write_lines(lines)

    def _keep_working_off(self) -> None:
        while True:
            time.sleep(SECONDS)
            with suppress(OSError, ValueError):  # a log or folder that is full or gone
                if self._waiting:
                    self.work_off()
