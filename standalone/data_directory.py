"""The folder that keeps Redis' data: private, locked, and where the socket goes."""

import fcntl
import os
import time
from pathlib import Path
from urllib.parse import quote

from standalone.errors import DataDirectoryInUseError, StartError

#: sun_path holds 104 bytes on macOS and the BSDs, 108 on Linux, with the NUL that ends it.
MAX_SOCKET_PATH = 103
#: Longer than the watchdog lets a Redis live whose supervisor was killed.
ORPHAN_SECONDS = 15.0


def create(directory: Path) -> Path:
    """Make `directory` with mode 0700 unless it is there; return its absolute path."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"Cannot make {directory.absolute()}: {error.strerror}.") from error
    return directory.resolve()


def lock(directory: Path) -> int:
    """Lock `directory` and return the open file that holds the lock.

    Redis is to inherit it: the lock then lasts as long as any Redis that writes there. The Redis
    of a supervisor that was killed is waited for. Raises DataDirectoryInUseError.
    """
    try:
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"Cannot write to {directory}: {error.strerror}.") from error
    deadline = time.monotonic() + ORPHAN_SECONDS
    while not _try_lock(descriptor):
        holder = os.pread(descriptor, 32, 0).decode().strip()
        if _is_alive(holder) or time.monotonic() > deadline:
            os.close(descriptor)
            raise DataDirectoryInUseError(directory, holder)
        time.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def socket_path(directory: Path, scratch: Path) -> Path:
    """Choose a path for Redis' socket: in `directory`, or else in `scratch` (mode 0700).

    Else: when it would be too long, within reach of others, or spelled differently in a URL.
    """
    path, status = directory / "redis.sock", directory.stat()
    private = status.st_uid == os.geteuid() and not status.st_mode & 0o077
    plain = quote(str(path)) == str(path) and len(str(path)) <= MAX_SOCKET_PATH
    return path if private and plain else scratch / "redis.sock"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
