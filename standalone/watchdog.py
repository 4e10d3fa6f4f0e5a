"""A process that outlives a killed supervisor just long enough to end what it started.

The kernel (PR_SET_PDEATHSIG) tells a dead supervisor's children to stop, on Linux only; no one
tells their children, and no one insists. The watchdog learns of the death because its standard
input ends, gives every process group its grace, kills what is left of it, and removes the
supervisor's temporary folder. It runs as a plain file, in a session of its own.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path


class Watchdog:
    """The supervisor's side: says which process groups there are."""

    def __init__(self, scratch: Path) -> None:
        end_to_read, self._pipe = os.pipe()
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(scratch)],
            stdin=end_to_read,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(end_to_read)

    def add(self, group: int, grace: float) -> None:
        """Have `group` ended within `grace` seconds of the supervisor's death."""
        self._say(f"{group} {grace}\n")

    def remove(self, group: int) -> None:
        """Forget a group that has ended: its number may come to be someone else's."""
        self._say(f"{group} gone\n")

    def close(self) -> None:
        """End the watchdog."""
        os.close(self._pipe)
        self._child.wait()

    def _say(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, line.encode())


def groups_left(lines: Iterable[str]) -> dict[int, float]:
    """Return process groups and their graces once the supervisor has said its last line."""
    groups: dict[int, float] = {}
    for line in lines:
        group, grace = line.split()
        if grace == "gone":
            groups.pop(int(group), None)
        else:
            groups[int(group)] = float(grace)
    return groups


def end(groups: dict[int, float]) -> None:
    """Wait for the groups to end and kill those that do not within their grace."""
    begun = time.monotonic()
    if sys.platform != "linux":
        for group in reversed(groups):
            _signal(group, signal.SIGTERM)
    while groups:
        for group, grace in list(groups.items()):
            waited = time.monotonic() - begun
            if waited > grace:
                _signal(group, signal.SIGKILL)
            if not _signal(group, 0) or waited > grace + 5:
                del groups[group]
        time.sleep(0.05)


def _signal(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    end(groups_left(sys.stdin))
    shutil.rmtree(sys.argv[1], ignore_errors=True)
