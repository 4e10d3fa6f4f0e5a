"""What a webhook must have before a job may bring it, and what it will say."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from api.problems import FieldError, Problem
from shared.job import JobError, Status
from shared.settings import Settings
from shared.webhook import Webhook, names_private_host


class EndedJob(BaseModel):
    """A job at the end that is announced; a retry may lead it to another one."""

    job_id: str
    status: Status
    name: str | None
    metadata: dict[str, str]
    epoch: int = Field(description="committed epochs")
    accuracy: float | None = Field(description="of the last committed epoch, from 0 to 1")
    weights: list[float] | None = Field(description="after the last committed epoch")
    digest: str | None = Field(description="of the last committed epoch")
    error: JobError | None
    ended_at: datetime


class JobEnded(BaseModel):
    """A job has ended (Standard Webhooks 1.0: webhook-id, webhook-timestamp, webhook-signature)."""

    type: Literal["job.succeeded", "job.failed", "job.cancelled"]
    timestamp: datetime = Field(description="when the job ended")
    data: EndedJob


def check_webhook(webhook: Webhook | None, settings: Settings) -> None:
    """Refuse an address that is not public, and a webhook that nothing would sign.

    Raises:
        Problem: 422
    """
    if webhook is None:
        return
    errors = []
    if not settings.webhook_allow_private and names_private_host(webhook.url):
        errors.append(FieldError("leads to an address that is not public", "/webhook/url"))
    if webhook.secret is None and not settings.webhook_secret:
        detail = "is needed, because this service has none of its own (NEURON_WEBHOOK_SECRET)"
        errors.append(FieldError(detail, "/webhook/secret"))
    if errors:
        raise Problem(422, "The webhook cannot be used.", errors=errors)
