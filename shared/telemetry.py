"""OpenTelemetry spans, if OTEL_EXPORTER_OTLP_ENDPOINT is set and the extra `otel` is installed.

Otherwise nothing is imported, and each call costs one comparison.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from shared import __version__, tracing
from shared.tracing import Origin

_log = structlog.get_logger()
_tracer: Any = None


def start(service: str) -> None:
    """Send the spans of this process from now on, if that is configured; call it after a fork."""
    global _tracer  # noqa: PLW0603 (one for a process, like OpenTelemetry's own)
    if _tracer is not None or not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        _log.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set, but the extra otel is not installed")
        return
    name = os.environ.get("OTEL_SERVICE_NAME", service)
    resource = Resource.create({"service.name": name, "service.version": __version__})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("neuron", __version__)


@dataclass(frozen=True, slots=True)
class Span:
    """A span that has begun."""

    span: Any

    def origin(self, request_id: str, job_id: str | None = None) -> Origin:
        """The origin of what is done inside the span."""
        context = self.span.get_span_context()
        ids = (f"{context.trace_id:032x}", f"{context.span_id:016x}")
        return Origin(request_id, *ids, f"{int(context.trace_flags):02x}", job_id)

    def end_request(self, method: str, route: str, status: int) -> None:
        """End the span of a request, with the attributes of the HTTP conventions."""
        from opentelemetry.trace import StatusCode

        self.span.update_name(f"{method} {route}")
        self.span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            }
        )
        if status >= 500:
            self.span.set_status(StatusCode.ERROR)
        self.span.end()


def begin_request(traceparent: str | None) -> Span | None:
    """The span of a request; None if nobody wants spans."""
    if _tracer is None:
        return None
    from opentelemetry.trace import SpanKind

    return Span(_tracer.start_span("request", _parent(traceparent), SpanKind.SERVER))


@contextmanager
def work_on_job(origin: Origin) -> Iterator[None]:
    """The span of a worker's work on a job, in the trace of the request that created it."""
    if _tracer is None:
        with tracing.working_for(origin):
            yield
        return
    from opentelemetry.trace import SpanKind

    attributes = {"neuron.job_id": origin.job_id, "neuron.request_id": origin.request_id}
    span = _tracer.start_span("train", _parent(origin.traceparent), SpanKind.CONSUMER, attributes)
    try:
        with tracing.working_for(Span(span).origin(origin.request_id, origin.job_id)):
            yield
    except Exception as error:
        span.record_exception(error)
        raise
    finally:
        span.end()


def _parent(traceparent: str | None) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": traceparent} if traceparent else {}
    return TraceContextTextMapPropagator().extract(carrier)
