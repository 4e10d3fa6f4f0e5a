"""A receiver of webhooks on loopback that answers as it is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

import orjson
from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Received:
    """One POST, as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str = SECRET) -> Any:
        """What it says; raises if the official package does not take the signature."""
        said = Webhook(secret).verify(self.body, dict(self.headers))
        assert said == orjson.loads(self.body)
        return said


#: Gets the handler and how many POSTs this path had before; answers.
Answer = Callable[[BaseHTTPRequestHandler, int], None]


def status(code: int, **headers: str) -> Answer:
    """Answer every POST with this status."""

    def answer(handler: BaseHTTPRequestHandler, _before: int) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    return answer


def in_turn(*answers: Answer) -> Answer:
    """The first answer first; the last one for ever."""
    return lambda handler, before: answers[min(before, len(answers) - 1)](handler, before)


class Receiver:
    """`with Receiver() as receiver:` listens on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._answers: dict[str, Answer] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.handle(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port: int = self.server.server_address[1]

    def __enter__(self) -> Self:
        Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def url(self, path: str, answer: Answer | None = None) -> str:
        """The URL of a path, which answers so (200 if None)."""
        self._answers[path] = answer or status(200)
        return f"http://127.0.0.1:{self.port}{path}"

    def on(self, path: str) -> list[Received]:
        """What came to the path, so far."""
        return [one for one in self.received if one.path == path]

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        before = len(self.on(handler.path))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.received.append(Received(handler.path, headers, body))
        self._answers[handler.path](handler, before)
