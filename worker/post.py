"""One HTTP POST to an address that was checked: no redirects, no proxies, an end within seconds."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from shared.webhook import is_public

CONNECT_SECONDS = 3.0
#: How much of an answer's body is read; what it says does not matter.
MOST_BODY_BYTES = 4096
_PORTS = {"http": 80, "https": 443}


class PostFailed(Exception):
    """There was no answer; says why."""


@dataclass(frozen=True)
class Answer:
    """The status of an answer, and its Retry-After header."""

    status: int
    retry_after: str | None


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, allow_private: bool
) -> Answer:
    """Send the body and wait for the status.

    The host is resolved once, and the connection goes to an address that was checked, so that a
    name server cannot answer the check with one address and the connection with another.

    Args:
        url: as `shared.webhook.Webhook` accepts it.
        body: to send.
        headers: beside Host, Content-Length and Connection.
        seconds: for everything but the resolution of the name, whatever the other side does.
        allow_private: whether addresses that are not public may be connected to.

    Raises:
        PostFailed
    """
    parts = urlsplit(url)
    addresses = _resolve(parts, allow_private)
    deadline = time.monotonic() + seconds
    try:
        with (
            _connect(addresses, deadline) as sock,
            _cut_at(deadline, sock),
            _secure(sock, parts) as channel,
        ):
            return _exchange(channel, parts, body, headers, deadline)
    except TimeoutError:
        raise PostFailed("timed out") from None
    except ssl.SSLCertVerificationError as error:
        raise PostFailed(f"certificate not accepted: {error.verify_message}") from None
    except (OSError, http.client.HTTPException) as error:
        late = time.monotonic() >= deadline
        raise PostFailed("timed out" if late else _reason(error)) from None


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else "no HTTP answer"
    return text.lower() if isinstance(error, ConnectionError) else text


def _resolve(parts: SplitResult, allow_private: bool) -> list[Any]:
    """What `socket.getaddrinfo` finds, without the addresses that may not be called."""
    port = parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise PostFailed("the host's name is not known") from None
    allowed = [info for info in found if allow_private or is_public(ip_address(info[4][0]))]
    if not allowed:
        raise PostFailed("the host's address is not public")
    return allowed


def _connect(addresses: list[Any], deadline: float) -> socket.socket:
    """A connection to the first address that takes it."""
    failure: OSError = TimeoutError()
    for family, kind, protocol, _, address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(min(CONNECT_SECONDS, left))
            sock.connect(address)
        except OSError as error:
            failure = error
            sock.close()
        else:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            return sock
    raise failure


@contextmanager
def _cut_at(deadline: float, sock: socket.socket) -> Iterator[None]:
    """Cut the connection at the deadline: a timeout starts anew with every byte that drips in."""
    line = sock.dup()
    timer = threading.Timer(max(0, deadline - time.monotonic()), _cut, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        line.close()


def _cut(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _secure(sock: socket.socket, parts: SplitResult) -> socket.socket:
    if parts.scheme == "http":
        return sock
    return _tls().wrap_socket(sock, server_hostname=parts.hostname)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _exchange(
    channel: socket.socket,
    parts: SplitResult,
    body: bytes,
    headers: Mapping[str, str],
    deadline: float,
) -> Answer:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(parts.netloc)
    connection.sock = channel
    own = {"Host": parts.netloc, "Connection": "close"}
    try:
        connection.request("POST", target, body, {**headers, **own})
        response = connection.getresponse()
        if time.monotonic() >= deadline:  # the headers were cut, which http.client does not mind
            raise TimeoutError
        with response, suppress(OSError, http.client.HTTPException):
            response.read(MOST_BODY_BYTES)
    finally:
        connection.close()
    return Answer(response.status, response.getheader("Retry-After"))
