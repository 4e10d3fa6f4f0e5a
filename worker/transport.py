"""Celery's way to its broker, unmoved by messages that are none.

Kombu lets what is wrong with a message out to Celery, which then ends the worker and with it all
that its children train. Messages hold nothing that cannot be sent again, so in Redis bad ones are
dropped. RabbitMQ would deliver what was never acknowledged again and again, so there all are taken
for what each of them is: news of a job.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, pyamqp, redis, virtual

from shared.queue import TRAIN

_log = structlog.get_logger()


@contextmanager
def _dropping(channel: Any) -> Iterator[None]:
    """Raise `Empty` for what is wrong with a message; let out what is wrong with the broker."""
    try:
        yield
    except (Empty, *channel.connection.connection_errors, *channel.connection.channel_errors):
        raise
    except Exception as error:
        _log.warning("message dropped", reason=str(error)[:200], kind=type(error).__name__)
        raise Empty from None


class _QoS(redis.QoS):
    def restore_by_tag(self, tag: Any, *arguments: Any, **options: Any) -> None:
        """Send a message again that its worker never acknowledged."""
        try:
            with _dropping(self.channel):
                super().restore_by_tag(tag, *arguments, **options)
        except Empty:
            with self.pipe_or_acquire() as pipe:
                self._remove_from_indices(tag, pipe).execute()  # type: ignore[attr-defined]


class _Message(virtual.Message):
    """A message with nothing in it but what makes a child look for a job.

    Celery counts a message before it looks at its body, limits and so on, goes on counting those
    over which it stumbles there, and takes no more when it counts as many as it has children.
    """

    def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
        super().__init__(payload, channel, **options)
        self.accept = {"application/json"}
        if [*map(type, self.decode())] != [list, dict, dict]:
            raise TypeError("its body is that of no task")
        self.headers = {name: str(self.headers[name]) for name in ("lang", "task", "id")}


class _Channel(redis.Channel):
    Message, QoS = _Message, _QoS

    def _brpop_read(self, **options: Any) -> Any:
        with _dropping(self):
            return super()._brpop_read(**options)  # type: ignore[misc]


class Transport(redis.Transport):
    """Kombu's, with a channel that drops what it cannot read."""

    Channel = _Channel


class _AmqpMessage(pyamqp.Message):
    """A message that says what all say, whatever it holds."""

    def __init__(self, raw: Any, channel: Any = None, **options: Any) -> None:
        headers = {"lang": "py", "task": TRAIN, "id": f"{raw.delivery_tag}"}
        raw.body = b'[[""],{},{}]'
        raw.properties = {
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "application_headers": headers,
        }
        super().__init__(raw, channel, **options)


class _AmqpChannel(pyamqp.Channel):
    Message = _AmqpMessage


class _AmqpConnection(pyamqp.Connection):
    Channel = _AmqpChannel


class AmqpTransport(pyamqp.Transport):
    """Kombu's, with messages that all say the same."""

    Connection = _AmqpConnection


class AmqpsTransport(pyamqp.SSLTransport):
    """The same over TLS."""

    Connection = _AmqpConnection


def register() -> None:
    """Have all connections to a broker use these, whatever their URL says."""
    for kind, aliases in (
        (Transport, ("redis", "rediss")),
        (AmqpTransport, ("amqp", "pyamqp")),
        (AmqpsTransport, ("amqps",)),
    ):
        TRANSPORT_ALIASES.update(dict.fromkeys(aliases, f"{__name__}:{kind.__name__}"))
