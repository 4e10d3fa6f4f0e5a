"""Who may come in, and what they may see.

With a file of API keys, every route but health needs a key with the route's scope, and shows the
jobs of the key's owner. Without, only this machine is answered, under its own names, and not the
web pages that its browsers show.
"""

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import structlog
from flask import Flask, Response, current_app, request
from redis.exceptions import RedisError

from api.key_ring import KEY, Key, KeyFileError, KeyRing
from api.limits import Limiter, Quota
from api.problems import Problem
from api.scopes import Scope, scope_of
from shared.errors import JobNotFound
from shared.settings import Settings
from shared.store import Store

VISITOR, QUOTA = "neuron.visitor", "neuron.quota"
#: Owners of jobs that a process remembers; a job's owner never changes.
MOST_OWNERS = 10_000
_KEY_PARAMETER = re.compile(r"(x[-_])?api[-_]?key|key|(access[-_])?token", re.IGNORECASE)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sent a request.

    Attributes:
        name: of the key or the address, for counting.
        owner: whose the jobs are that it makes; "" without keys.
        sees_all: whether the jobs of all owners are there for it.
    """

    name: str
    owner: str
    sees_all: bool


class Access:
    """Lets requests in, or raises a `Problem`; knows WSGI, but no Flask."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Read the keys.

        Raises:
            KeyFileError
        """
        self._settings, self._store = settings, store
        path = settings.api_keys_file
        self._ring = KeyRing(Path(path)) if path else None
        self._limiter = Limiter(store.redis)
        self._owners: dict[str, str] = {}
        trusted = settings.trusted_hosts.lower().split(",")
        self._names = {settings.host, *filter(None, map(str.strip, trusted))}

    @property
    def has_keys(self) -> bool:
        """Whether requests need a key."""
        return self._ring is not None

    def admit(self, environ: dict[str, Any], scope: Scope) -> Visitor:
        """The visitor, who is counted.

        Raises:
            Problem: 401, 403, or 429; RedisError: if requests are limited and cannot be counted.
        """
        if scope is Scope.OPEN:
            return Visitor("", "", False)
        if self._ring:
            visitor = self._with_key(self._ring, environ, scope)
        else:
            visitor = self._from_here(environ)
        self._count(environ, visitor, scope)
        environ[VISITOR] = visitor
        return visitor

    def still_admits(self, environ: Mapping[str, Any], scope: Scope) -> bool:
        """Whether an admitted request would be admitted as the same visitor now; not counted."""
        if not self._ring:
            return True
        key = self._ring.find(_presented(environ, scope) or "")
        return key is not None and key.allows(scope) and _visitor(key) == environ[VISITOR]

    def check_job(self, visitor: Visitor, job_id: str) -> None:
        """Let nobody learn that another owner's job is there.

        Raises:
            JobNotFound
        """
        if visitor.sees_all:
            return
        owner = self._owners.get(job_id)
        if owner is None:
            owner = self._store.owner(job_id)
            if len(self._owners) >= MOST_OWNERS:
                self._owners.clear()
            self._owners[job_id] = owner
        if owner != visitor.owner:
            raise JobNotFound(job_id)

    def _with_key(self, ring: KeyRing, environ: Mapping[str, Any], scope: Scope) -> Visitor:
        if environ.get("QUERY_STRING"):
            _refuse_key_in_query(environ["QUERY_STRING"])
        given = _presented(environ, scope)
        key = ring.find(given) if given is not None else None
        if key is None:
            raise self._unauthorized(environ, given, scope)
        if not key.allows(scope):
            challenge = f'Bearer realm="neuron", error="insufficient_scope", scope="{scope}"'
            headers = {"WWW-Authenticate": challenge}
            raise Problem(403, f"This key lacks the scope {scope.value!r}.", headers=headers)
        return _visitor(key)

    def _unauthorized(self, environ: Mapping[str, Any], given: str | None, scope: Scope) -> Problem:
        challenge = ("Basic" if scope is Scope.ANY_KEY else "Bearer") + ' realm="neuron"'
        if given is None:
            how = "Authorization: Bearer <key> or X-API-Key: <key>"
            return Problem(
                401, f"This needs an API key: {how}.", headers={"WWW-Authenticate": challenge}
            )
        address = _network(environ.get("REMOTE_ADDR", ""))
        with suppress(RedisError):  # then wrong keys stay 401
            quota = self._limiter.take("failures", address, self._settings.max_key_failures)
            if not quota.allowed:
                return _too_many(quota, "wrong keys from this address")
        known = KEY.fullmatch(given)
        _log.warning("wrong API key", address=address, key_id=known[1] if known else None)
        if challenge.startswith("Bearer"):
            challenge += ', error="invalid_token"'
        return Problem(401, "The API key is wrong.", headers={"WWW-Authenticate": challenge})

    def _from_here(self, environ: Mapping[str, Any]) -> Visitor:
        address = environ.get("REMOTE_ADDR", "")
        if self._settings.loopback_only and not is_loopback(address):
            raise Problem(
                403, "This service has no API keys and answers only its own machine "
                "(see NEURON_API_KEYS_FILE and NEURON_LOOPBACK_ONLY)."
            )  # fmt: skip
        host = environ.get("HTTP_HOST", "")
        name = _host_name(host)
        if host and not (name in self._names or (name and is_loopback(name))):
            raise Problem(403, "The Host is not one of this service's (see NEURON_TRUSTED_HOSTS).")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD", "OPTIONS"):
            _refuse_web_pages(environ, host)
        return Visitor(_network(address), "", True)

    def _count(self, environ: dict[str, Any], visitor: Visitor, scope: Scope) -> None:
        settings = self._settings
        predicts = scope is Scope.PREDICT
        limit = settings.rate_limit_predict if predicts else settings.rate_limit_jobs
        if not limit or scope is Scope.ANY_KEY:
            return
        quota = self._limiter.take("predict" if predicts else "jobs", visitor.name, limit)
        if not quota.allowed:
            raise _too_many(quota, "requests")
        environ[QUOTA] = quota


def _visitor(key: Key) -> Visitor:
    return Visitor(key.id, key.owner, Scope.ADMIN in key.scopes)


def _too_many(quota: Quota, what: str) -> Problem:
    sentence = f"Too many {what}: the limit is {quota.limit} a minute."
    return Problem(429, sentence, headers={**quota.headers, "Retry-After": str(quota.seconds)})


def _presented(environ: Mapping[str, Any], scope: Scope) -> str | None:
    """The key that came along; "" for two different ones, None for none.

    A browser can bring one as a password, but only to pages: it would send that by itself with
    what other pages make it ask for.
    """
    scheme, _, value = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    given = {environ[name].strip() for name in ("HTTP_X_API_KEY",) if name in environ}
    if scheme.lower() == "bearer":
        given.add(value.strip())
    elif scheme.lower() == "basic" and scope is Scope.ANY_KEY and not given:
        given.add(_password(value.strip()))
    if len(given) > 1:
        return ""
    return given.pop() if given else None


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("ascii").partition(":")[2]
    except ValueError:
        return ""


def _refuse_key_in_query(query: str) -> None:
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        if _KEY_PARAMETER.fullmatch(name) or KEY.search(value) or KEY.search(name):
            raise Problem(
                401, "An API key does not belong in a URL, where logs keep it; replace this key "
                "and send the new one as Authorization: Bearer <key> or X-API-Key: <key>.",
                headers={"WWW-Authenticate": 'Bearer realm="neuron", error="invalid_request"'},
            )  # fmt: skip


def _refuse_web_pages(environ: Mapping[str, Any], host: str) -> None:
    """Browsers say on whose behalf they send; other clients need not."""
    origin = environ.get("HTTP_ORIGIN")
    foreign = origin is not None and origin.lower().partition("//")[2] != host.lower()
    if foreign or environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("none", "same-origin"):
        raise Problem(403, "Web pages of other origins cannot change anything here.")


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


@lru_cache(1024)
def is_loopback(name: str) -> bool:
    """Whether the address or host name is this machine's own; "" is a Unix socket's."""
    try:
        address = ip_address(name)
    except ValueError:
        return name in ("", "localhost") or name.endswith(".localhost")
    return _plain(address).is_loopback


@lru_cache(1024)
def _network(address: str) -> str:
    """What is counted as one address: of IPv6, the 64 bits that a customer gets."""
    try:
        parsed = _plain(ip_address(address))
    except ValueError:
        return address or "local"
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(IPv6Network((int(parsed), 64), strict=False))


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address


def visitor() -> Visitor:
    """Who sent the request that is being handled."""
    found: Visitor = request.environ[VISITOR]
    return found


def visible_owner() -> str | None:
    """Whose jobs the visitor sees; None for everybody's."""
    return None if visitor().sees_all else visitor().owner


def access() -> Access:
    """That of the application that handles this request."""
    found: Access = current_app.extensions["neuron.access"]
    return found


def register(app: Flask, settings: Settings, store: Store) -> None:
    """Let nobody in who does not belong.

    Raises:
        SystemExit: if the file of API keys cannot be used.
    """
    try:
        app.extensions["neuron.access"] = Access(settings, store)
    except KeyFileError as error:
        raise SystemExit(str(error)) from None
    if not settings.api_keys_file:
        _log.warning("no API keys: only clients on this machine are answered")
    app.before_request(_admit)
    app.after_request(_tell_quota)


def _admit() -> None:
    scope = scope_of(request)
    found = access().admit(request.environ, scope)
    job_id = (request.view_args or {}).get("job_id")
    if job_id is not None and scope is not Scope.OPEN:
        access().check_job(found, job_id)


def _tell_quota(response: Response) -> Response:
    quota = request.environ.get(QUOTA)
    if quota:
        response.headers.update(quota.headers)
    return response
