"""API keys: how they look, the file that keeps their hashes, and finding one again.

A key is `nk_<id>_<secret>`. The file keeps the SHA-256 of the secret: the secret is 256 random
bits, which nobody finds by trying, so a slow hash, as for passwords, would protect nothing and
cost every request.
"""

import fcntl
import hmac
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_serializer

from api.scopes import GRANTED, Scope

KEY = re.compile("nk_([0-9a-f]{12})_([0-9a-f]{64})")
#: How old the knowledge of the file may be.
LOOK_SECONDS = 0.5
_log = structlog.get_logger()


class KeyFileError(Exception):
    """The file cannot be used; says why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The file of API keys, {path}, {reason}.")


class Key(BaseModel):
    """A key as the file keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    owner: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    created: AwareDatetime

    @field_serializer("scopes")
    def _in_order(self, scopes: frozenset[Scope]) -> list[str]:
        return sorted(scopes)

    def allows(self, scope: Scope) -> bool:
        """Whether the key may do what needs this scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes or scope is Scope.ANY_KEY


class KeyFile(BaseModel):
    """All keys, as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: list[Key]


def new_key(owner: str, scopes: frozenset[Scope]) -> tuple[str, Key]:
    """A new key: what its owner gets, and what the file keeps."""
    key_id, secret = secrets.token_hex(6), secrets.token_hex(32)
    digest = sha256(secret.encode()).hexdigest()
    created = datetime.now(UTC).replace(microsecond=0)
    kept = Key(id=key_id, owner=owner, scopes=scopes, sha256=digest, created=created)
    return f"nk_{key_id}_{secret}", kept


def read_keys(path: Path) -> dict[str, Key]:
    """The keys of the file by their ids.

    Raises:
        KeyFileError: if it is missing, unreadable, malformed, or others may change it.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(path, "is not a file")
        content = path.read_bytes()
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {error.strerror}") from None
    if status.st_mode & 0o022:
        raise KeyFileError(path, "may be changed by other users; chmod go-w it")
    return _parse(path, content)


def _parse(path: Path, content: bytes) -> dict[str, Key]:
    if not content.strip():
        raise KeyFileError(path, "is empty")
    try:
        keys = KeyFile.model_validate_json(content).keys
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = "/".join(map(str, first["loc"])) or "the whole"
        raise KeyFileError(path, f"is malformed at {where}: {first['msg']}") from None
    found = {key.id: key for key in keys}
    if len(found) < len(keys):
        raise KeyFileError(path, "names an id twice")
    if any(not key.scopes <= set(GRANTED) for key in keys):
        raise KeyFileError(path, f"has a scope that is not one of {', '.join(GRANTED)}")
    return found


@contextmanager
def changed_keys(path: Path) -> Iterator[dict[str, Key]]:
    """The keys of the file, for changing them: written back in one step, one writer at a time.

    A file that is not there yet begins empty and gets mode 0600; one that is keeps its mode.

    Raises:
        KeyFileError
    """
    path = path.resolve()
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise KeyFileError(path, f"cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        keys = read_keys(path) if path.exists() else {}
        yield keys
        _replace(path, KeyFile(keys=list(keys.values())).model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise KeyFileError(path, f"cannot be written: {error.strerror}") from None
    finally:
        os.close(folder)


def _replace(path: Path, content: str) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            if path.exists():
                status = path.stat()
                with suppress(PermissionError):
                    os.fchown(descriptor, status.st_uid, status.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class _Look:
    """What told one version of the file from another, and when it was looked at."""

    version: tuple[int, ...] | None
    until: float


class KeyRing:
    """The keys of a file, read again within a second of a change.

    A file that has become unusable changes nothing, and is logged: the keys that were read last
    stay. One without any key is obeyed: then nobody has one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._look = _Look(self._version(), time.monotonic() + LOOK_SECONDS)
        self._keys, self._trouble = read_keys(path), ""
        if not self._keys:
            raise KeyFileError(path, "has no key; make one with `python -m api.keys add`")

    def find(self, presented: str) -> Key | None:
        """The key that was presented, if it is one; a wrong id costs what a wrong secret does."""
        if time.monotonic() > self._look.until:
            self._reload()
        parts = KEY.fullmatch(presented)
        key_id, secret = parts.groups() if parts else ("", "")
        key = self._keys.get(key_id)
        digest = sha256(secret.encode()).hexdigest()
        same = hmac.compare_digest(digest, key.sha256 if key else "0" * 64)
        return key if same else None

    def _version(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino

    def _reload(self) -> None:
        seen, self._look = self._look, _Look(self._version(), time.monotonic() + LOOK_SECONDS)
        if self._look.version == seen.version and not self._trouble:
            return
        told = self._trouble
        try:
            self._keys, self._trouble = read_keys(self._path), ""
        except KeyFileError as error:
            self._trouble = str(error)
            if self._trouble != told:
                _log.error("API keys not read again; the old ones stay", reason=self._trouble)
        else:
            _log.info("API keys read again", keys=len(self._keys))
