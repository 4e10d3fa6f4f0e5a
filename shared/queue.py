"""The Celery queue: a message carries a job's id and nothing else."""

from typing import Any

import structlog
from celery import Celery

from shared.settings import Settings

TRAIN = "neuron.train"
_log = structlog.get_logger()


#: What kombu's Redis transport is to do when the broker is slow or away: workers wait for it.
_REDIS_WORKER = {
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "health_check_interval": 5,
    "visibility_timeout": 3600,
}
#: ... and those who publish give up within a second or two.
_REDIS_PUBLISHER = {"socket_timeout": 1, "socket_connect_timeout": 1}
_AMQP_PUBLISHER = {"connect_timeout": 1, "read_timeout": 1, "write_timeout": 1}
_NO_RETRY = {"max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0}


def make_celery(settings: Settings) -> Celery:
    """The Celery application, the same for those who publish and those who work."""
    celery = Celery("neuron", broker=settings.celery_broker_url, set_as_current=False)
    celery.conf.update(
        task_default_queue="neuron",
        task_ignore_result=True,
        task_acks_late=False,
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=settings.broker_is_redis,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_heartbeat=10,
        broker_transport_options=_REDIS_WORKER if settings.broker_is_redis else {},
    )
    return celery


def make_publisher(settings: Settings) -> Celery:
    """As `make_celery`, but it gives up within seconds when the broker is away."""
    celery = make_celery(settings)
    options = _REDIS_PUBLISHER if settings.broker_is_redis else _AMQP_PUBLISHER
    celery.conf.update(
        broker_connection_timeout=1,
        broker_transport_options=options | _NO_RETRY,
        task_publish_retry_policy=_NO_RETRY
        | {"max_retries": 1, "interval_step": 0.05, "interval_max": 0.05},
    )
    return celery


def publish(celery: Celery, job_id: str) -> bool:
    """Tell the workers of a queued job; False if the broker does not take the message.

    That loses nothing: the record is the truth, and overdue jobs are published again.
    """
    try:
        celery.send_task(TRAIN, args=[job_id])
    except Exception as error:  # of any kind: what is in the broker may be anybody's
        _log.warning("publish failed", job_id=job_id, reason=str(error))
        return False
    return True


def waiting(celery: Celery) -> int:
    """How many messages wait in the queue; 0 if the broker does not tell."""
    try:
        with celery.connection_or_acquire() as connection:
            queue = celery.amqp.queues[celery.conf.task_default_queue]
            declared: Any = queue.bind(connection.default_channel).queue_declare()
            return int(declared.message_count)
    except Exception as error:  # of any kind, as above
        _log.warning("queue not seen", reason=str(error))
        return 0
