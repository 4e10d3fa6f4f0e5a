"""One POST: to the address that was checked, over verified TLS, with an end in sight."""

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import required
from tests.receiver import Receiver, status
from worker import post as module
from worker.post import PostFailed, post

Addresses = list[str]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def send(url: str, seconds: float = 60, *, allow_private: bool = True) -> int:
    return post(url, b"{}", {}, seconds=seconds, allow_private=allow_private).status


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: Addresses) -> list[str]:
    """A name server that gives these answers, one after the other; returns what it is asked."""
    asked: list[str] = []
    left = list(answers)

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in left.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_is_resolved_once_and_sent_as_host(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.url("/a?b=c")
    asked = resolve_to(monkeypatch, ["127.0.0.1"])
    assert send(f"http://hooks.example:{receiver.port}/a?b=c") == 200
    assert asked == ["hooks.example"]
    assert receiver.received[0].headers["host"] == f"hooks.example:{receiver.port}"


def test_only_the_public_ones_of_several_addresses_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, ["10.0.0.1", "1.1.1.1", "127.0.0.1"])
    found = module._resolve(urlsplit("https://hooks.example/"), allow_private=False)
    assert [info[4] for info in found] == [("1.1.1.1", 443)]


def test_a_name_of_private_addresses_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, ["127.0.0.1", "192.168.1.1"])
    with pytest.raises(PostFailed, match="not public"):
        send(f"http://hooks.example:{receiver.port}/", allow_private=False)
    assert not receiver.received


def test_an_address_that_does_not_answer_is_followed_by_the_next(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.url("/")
    resolve_to(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    assert send(f"http://hooks.example:{receiver.port}") == 200


def test_an_unknown_name_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(PostFailed, match="not known"):
        send("https://hooks.example/")


def test_proxies_of_the_environment_are_ignored(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert send(receiver.url("/hook")) == 200


def answer_slowly(handler: BaseHTTPRequestHandler, _before: int) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(2000):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def answer_without_end(handler: BaseHTTPRequestHandler, _before: int) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        handler.wfile.write(bytes(65536))


def answer_nonsense(handler: BaseHTTPRequestHandler, _before: int) -> None:
    handler.wfile.write(b"hello\r\n\r\n")


def test_an_answer_that_drips_in_is_cut_at_the_deadline(receiver: Receiver) -> None:
    receiver.server.handle_error = lambda *_: None  # type: ignore[method-assign]
    started = time.monotonic()
    with pytest.raises(PostFailed, match="timed out"):
        send(receiver.url("/hook", answer_slowly), 0.5)
    assert time.monotonic() - started < 50, "the answer takes twice as long"


def test_a_body_without_end_is_not_read(receiver: Receiver) -> None:
    receiver.server.handle_error = lambda *_: None  # type: ignore[method-assign]
    assert send(receiver.url("/hook", answer_without_end)) == 200


def test_what_is_no_http_is_a_failure(receiver: Receiver) -> None:
    with pytest.raises(PostFailed, match="no HTTP answer"):
        send(receiver.url("/hook", answer_nonsense))


def test_silence_is_a_failure() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(PostFailed, match="timed out"),
    ):
        send(f"http://127.0.0.1:{silent.getsockname()[1]}/", 0.3)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a self-signed certificate for hooks.example, in one file."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    options = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hooks.example"
    names = ["-addext", "subjectAltName=DNS:hooks.example"]
    made = [required("openssl"), *options.split(), *names, "-keyout", "-", "-out", "-"]
    file.write_bytes(subprocess.run(made, check=True, capture_output=True).stdout)
    return file


@pytest.fixture
def secure(receiver: Receiver, certificate: Path) -> Receiver:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = receiver.server
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    receiver.url("/hook", status(204))
    return receiver


def test_tls_is_verified_against_the_name_not_the_address(
    secure: Receiver, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(module, "_tls", lambda: trusting)
    resolve_to(monkeypatch, ["127.0.0.1"], ["127.0.0.1"])
    assert send(f"https://hooks.example:{secure.port}/hook") == 204
    with pytest.raises(PostFailed, match="certificate not accepted"):
        send(f"https://other.example:{secure.port}/hook")
    assert len(secure.received) == 1


def test_an_unknown_certificate_is_not_accepted(
    secure: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, ["127.0.0.1"])
    with pytest.raises(PostFailed, match="certificate not accepted: self"):
        send(f"https://hooks.example:{secure.port}/hook")
    assert not secure.received
