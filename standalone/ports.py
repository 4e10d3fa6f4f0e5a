"""Which port the API gets, and keeping it from others while the API is (re)started."""

import errno
import socket
import sys
from ipaddress import ip_address
from typing import Any

from standalone.errors import PortTakenError, StartError


def free_port(host: str, port: int) -> int:
    """Return `port` if it is free, or any free one for 0. Raises PortTakenError or StartError.

    The test listens without SO_REUSEPORT: with it, as the API's server does, two servers could
    share a port and each would get half of the requests.
    """
    try:
        with _bound(host, port, socket.SO_REUSEADDR) as probe:
            probe.listen()
            return int(probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port) from error
        raise StartError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error


def reserve(host: str, port: int) -> socket.socket:
    """Hold the port with a socket that never listens, so that no one gets it between two starts.

    Only a server that sets SO_REUSEPORT, as Granian does, can listen beside it (Linux only).
    """
    if sys.platform != "linux":
        return socket.socket()
    return _bound(host, port, socket.SO_REUSEPORT)


def address_of(host: str) -> str:
    """The address that a name stands for, which Granian wants: the one that `free_port` tests."""
    return str(_lookup(host, 0)[4][0])


def is_loopback(host: str) -> bool:
    """Whether `host` is an address of this machine that others cannot reach."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)} if host else set()
    except OSError:
        return True  # listening on it will tell what is wrong
    return bool(found) and all(ip_address(str(address)).is_loopback for address in found)


def url_of(host: str, port: int) -> str:
    """Spell the address at which this machine reaches a server that listens on `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (not bound here)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _bound(host: str, port: int, option: int) -> socket.socket:
    family, kind, protocol, _, address = _lookup(host, port)
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _lookup(host: str, port: int) -> tuple[Any, ...]:
    flags = socket.AI_PASSIVE
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)[0]
