"""Every setting: its name (with the prefix NEURON_), its default and what it is for."""

from functools import cached_property
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.webhook import WebhookSecret


class Settings(BaseSettings):
    """Read from the environment when made; the README's table is checked against this class."""

    model_config = SettingsConfigDict(
        env_prefix="NEURON_",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        pattern="^(rediss?|unix)://",
        description="Redis that holds the jobs: `redis://`, `rediss://` or `unix://`",
    )
    broker_url: str = Field(
        "", description="broker of the Celery queue; empty means the Redis that holds the jobs"
    )
    host: str = Field("127.0.0.1", description="address that the API listens on")
    api_keys_file: str = Field(
        "", description="file of the API keys; empty: none, and only this machine is answered"
    )
    loopback_only: bool = Field(
        True,
        description="whether, without keys, other machines are refused; "
        "`false` only where something else keeps them away",
    )
    trusted_hosts: str = Field(
        "",
        description="without keys: names, with commas between them, "
        "that a request's Host may have beside loopback ones",
    )
    rate_limit_jobs: int = Field(
        0, ge=0, description="requests a minute of a key (or address), but predictions; 0: any"
    )
    rate_limit_predict: int = Field(
        0, ge=0, description="the same for predictions and models; 0: any number"
    )
    max_key_failures: int = Field(
        30, ge=1, description="wrong keys a minute of an address; more get 429, right ones pass"
    )
    port: int = Field(8000, ge=0, le=65535, description="port that the API listens on")
    data_dir: str = Field(".data", description="where `make serve` keeps its Redis data")
    max_open_jobs: int = Field(10_000, ge=1, description="jobs that have not ended, in all")
    max_open_jobs_per_owner: int = Field(
        10_000, ge=1, description="jobs of one owner that have not ended"
    )
    max_job_seconds: float = Field(
        86_400, gt=0, description="training time of a job; a job may ask for less"
    )
    max_claims: int = Field(
        5, ge=1, description="workers that may be lost in a row before their job fails"
    )
    retention_seconds: float = Field(
        30 * 86_400, gt=0, description="how long ended jobs are kept; others are never removed"
    )
    body_seconds: float = Field(
        10, gt=0, description="how long the body of a request may take to come; then 408"
    )
    max_body_bytes: int = Field(1_000_000, ge=1_000, description="size of a request body")
    max_training_rows: int = Field(10_000_000, ge=1, description="largest `training_size`")
    max_test_rows: int = Field(1_000_000, ge=1, description="largest `test_size`")
    max_values: int = Field(
        22_000_000, ge=2, description="input values of a job: (training + test rows) × inputs"
    )
    max_epochs: int = Field(10_000, ge=1, description="largest `epochs`")
    max_predict_rows: int = Field(
        100_000, ge=1, description="rows of one predict or infer call in JSON"
    )
    max_binary_rows: int = Field(1_000_000, ge=1, description="the same in a binary format")
    max_predict_body_bytes: int = Field(
        64_000_000, ge=1_000, description="size of the body of such a call, also decompressed"
    )
    max_wait_seconds: float = Field(30, ge=0, description="longest `Prefer: wait`")
    max_waiting_requests: int = Field(
        8, ge=0, description="requests of one API process that may wait at once; others get 202"
    )
    max_open_streams: int = Field(
        32, ge=0, description="event streams of one API process; each holds one of its threads"
    )
    stream_heartbeat_seconds: float = Field(
        10, gt=0, description="silence after which an event stream sends a comment"
    )
    idempotency_seconds: int = Field(
        86_400, ge=1, description="how long an Idempotency-Key is remembered"
    )
    lease_seconds: float = Field(
        10, ge=0.5, description="how long a worker owns a job without a heartbeat"
    )
    webhook_secret: WebhookSecret = Field(
        SecretStr(""),
        validate_default=False,
        description="signs the webhooks of jobs that bring no secret: `whsec_…`",
    )
    webhook_allow_private: bool = Field(
        False, description="whether webhooks may go to private and loopback addresses"
    )
    webhook_timeout_seconds: float = Field(
        10, gt=0, description="how long one attempt to send a webhook may take"
    )
    webhook_retry_seconds: str = Field(
        "5,300,1800,7200,18000,36000,50400,72000,86400",
        pattern=r"^(\d+(\.\d+)?(,\d+(\.\d+)?)*)?$",
        description="waits (±20 %) before a webhook is sent again; after the last it has failed",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what is logged; each request from `info` on"
    )
    dataset_cache_bytes: int = Field(
        64_000_000, ge=0, description="memory for data sets that each process of a worker keeps"
    )

    @property
    def broker_is_redis(self) -> bool:
        """Whether the queue is in a Redis, and not in a RabbitMQ."""
        return not (self.broker_url or self.redis_url).startswith(("amqp", "pyamqp"))

    @cached_property
    def webhook_waits(self) -> tuple[float, ...]:
        """Seconds before each further attempt to send a webhook."""
        return tuple(float(wait) for wait in self.webhook_retry_seconds.split(",") if wait)

    @cached_property
    def celery_broker_url(self) -> str:
        """The broker's URL as Celery spells it (`redis+socket://` for a Unix socket)."""
        url = self.broker_url or self.redis_url
        if not url.startswith("unix://"):
            return url
        path, _, query = url.removeprefix("unix://").partition("?")
        return f"redis+socket://{path}" + (
            f"?{query.replace('db=', 'virtual_host=')}" * bool(query)
        )


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        SystemExit: naming each variable that is wrong, and how.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = [
            f"NEURON_{entry['loc'][0]!s}".upper() + f": {entry['msg']}" for entry in error.errors()
        ]
        raise SystemExit("Wrong settings: " + "; ".join(wrong)) from None
