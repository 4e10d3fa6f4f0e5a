"""`python -m tests.service.crashing worker` (or `api`) with points at which a test lets it die.

`CRASH_FILE` names a file that holds the next points as JSON, [[point, whether to crash], …]. A
process that comes by the first one takes it from the list, and dies if it says so.
"""

import functools
import json
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared import queue, store
from shared.store import Store

#: A lost message is missed sooner than it is worth while in earnest.
store.HINT_MS = 1_000
WORKER_METHODS = ("claim", "begin", "checkpoint", "commit", "fail", "release", "sweep")


def pass_by(point: str) -> None:
    path = Path(os.environ["CRASH_FILE"])
    script = json.loads(path.read_text())
    if not script or script[0][0] != point:
        return
    new = path.with_name(f"{os.getpid()}")
    new.write_text(json.dumps(script[1:]))
    new.replace(path)
    if script[0][1]:
        os.kill(os.getpid(), signal.SIGKILL)


def fragile(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The call with a point before it and, if it did anything, one after it."""

    @functools.wraps(call)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        final = name == "commit" and arguments[-1] is not None
        point = f"final {name}" if final else name
        pass_by(f"before {point}")
        result = call(*arguments, **options)
        if name not in ("claim", "sweep") or result:
            pass_by(f"after {point}")
        return result

    return wrapped


def prepare_api() -> None:
    Store.accept = fragile("accept", Store.accept)  # type: ignore[method-assign]
    queue.publish = fragile("publish", queue.publish)


def prepare_worker() -> None:
    from worker import runner  # noqa: PLC0415 (the API needs none)

    for method in WORKER_METHODS:
        setattr(Store, method, fragile(method, getattr(Store, method)))
    runner.CHECKPOINT_SECONDS = 0


if __name__ == "__main__":
    del sys.argv[0]
    prepare_api() if sys.argv[0] == "api" else prepare_worker()
    runpy.run_module(sys.argv[0], run_name="__main__")
