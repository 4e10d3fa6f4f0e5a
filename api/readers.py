"""Bodies, read with a deadline.

The server's read cannot be interrupted. So a thread of a small pool reads, and the request's thread
waits for it for as long as a body may take.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from flask import Response

from api.problems import Problem

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: Threads that read.
READERS = 64
#: Small bodies that requests' own threads may be reading.
DIRECT = 8
#: How long a client that was too slow has to take the answer.
LINGER_SECONDS = 1.0


class Readers:
    """Read bodies. Threads may share it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(READERS, "reader")
        self._free = BoundedSemaphore(READERS)
        self._direct: set[object] = set()

    def read(self, environ: "WSGIEnvironment", length: int) -> bytes:
        """So much of the body, or less if the client broke off.

        Raises:
            Problem: 408 or 503.
        """
        if not self._free.acquire(blocking=False):
            raise Problem(503, "Too many bodies are on their way; try again.")
        reading = self._pool.submit(self._read, environ, length)
        try:
            return reading.result(self._seconds)
        except TimeoutError:
            raise _TooSlow(self._seconds, reading) from None

    def read_small(self, environ: "WSGIEnvironment", length: int) -> bytes:
        """The same, by the thread itself, which is faster, where few do that: it may be held.

        Raises:
            Problem: 408 or 503.
        """
        if len(self._direct) >= DIRECT:
            return self.read(environ, length)
        me = object()
        self._direct.add(me)
        try:
            return _all(environ, length)
        finally:
            self._direct.remove(me)

    def _read(self, environ: "WSGIEnvironment", length: int) -> bytes:
        try:
            return _all(environ, length)
        finally:
            self._free.release()


def _all(environ: "WSGIEnvironment", length: int) -> bytes:
    # Where the server ends the stream, reading all of it costs a copy less than reading so much.
    ends = environ.get("wsgi.input_terminated")
    data: bytes = environ["wsgi.input"].read(*() if ends else (length,))
    return data


class _TooSlow(Problem):
    """408, after which the server hangs up.

    While somebody waits for the body, the server goes on reading, whatever was answered. Only an
    answer that breaks off makes it hang up, and that ends the read, too. So this one announces a
    newline that it sends only if the read has ended by itself.
    """

    def __init__(self, seconds: float, reading: Future[bytes]) -> None:
        super().__init__(
            408, f"The body did not come within {seconds:g} s.", headers={"Connection": "close"}
        )
        self._reading = reading

    def response(self) -> Response:
        """The problem as `application/problem+json`; see above."""
        response = super().response()
        text = response.get_data()
        response.headers["Content-Length"] = str(len(text) + 1)
        response.response = self._parts(text)
        return response

    def _parts(self, text: bytes) -> Iterator[bytes]:
        yield text
        if wait([self._reading], LINGER_SECONDS).done:
            yield b"\n"
