"""A Unix-socket proxy in front of Redis whose connections can be cut, refused, held or delayed."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Self


class Fault(StrEnum):
    """What the proxy does to its connections until `Proxy.heal`."""

    #: open ones are closed, new ones are let in
    CUT = "cut"
    #: open ones are closed, new ones find no one listening
    REFUSE = "refuse"
    #: bytes in both directions are held; at the end they arrive late, as over a mended line
    BLACKHOLE = "blackhole"
    #: requests arrive, answers are lost; at the end the connections are closed
    DEAFEN = "deafen"
    #: every piece of data arrives late
    DELAY = "delay"


class Proxy:
    """`with Proxy(target, listen) as proxy:` forwards connections of one Unix socket to another."""

    def __init__(self, target: Path, listen: Path) -> None:
        self._target, self._listen = target, listen
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._deaf = False
        self._delay = 0.0

    @property
    def url(self) -> str:
        """What `NEURON_REDIS_URL` is to be."""
        return f"unix://{self._listen}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._heal)
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def inflict(self, fault: Fault, delay: float = 0.2) -> None:
        """Begin a fault; it replaces the one before."""
        self._call(self._heal)
        self._call(lambda: self._inflict(fault, delay))

    def heal(self) -> None:
        """End the fault."""
        self._call(self._heal)

    @contextlib.contextmanager
    def suffering(self, fault: Fault, delay: float = 0.2) -> Iterator[None]:
        """The fault, for the duration of the block."""
        self.inflict(fault, delay)
        try:
            yield
        finally:
            self.heal()

    def _call(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(10)

    async def _inflict(self, fault: Fault, delay: float) -> None:
        match fault:
            case Fault.CUT:
                self._cut()
            case Fault.REFUSE:
                self._stop_listening()
                self._cut()
            case Fault.BLACKHOLE:
                self._passing.clear()
            case Fault.DEAFEN:
                self._deaf = True
            case Fault.DELAY:
                self._delay = delay

    async def _heal(self) -> None:
        if self._deaf:
            self._cut()
        self._deaf, self._delay = False, 0.0
        self._passing.set()
        if self._server is None:
            self._server = await asyncio.start_unix_server(self._accept, self._listen)

    async def _close(self) -> None:
        self._stop_listening()
        self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _stop_listening(self) -> None:
        if self._server:
            self._server.close()
        self._server = None

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            answers, requests = await asyncio.open_unix_connection(self._target)
        except OSError:
            self._drop(writer)
            return
        self._writers.add(requests)
        ways = (self._pump(reader, requests), self._pump(answers, writer, is_answer=True))
        pumps = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._drop(writer)
            self._drop(requests)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        is_answer: bool = False,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._passing.wait()
                if self._deaf and is_answer:
                    continue
                sink.write(data)
                await sink.drain()
