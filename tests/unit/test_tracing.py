"""Where work comes from: what of the headers is taken over, and what is made up."""

import pytest

from shared import tracing

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_trace_goes_on_with_a_span_of_its_own() -> None:
    origin = tracing.of_request("order-7", f"00-{TRACE}-{SPAN}-00")
    assert (origin.request_id, origin.trace_id, origin.flags) == ("order-7", TRACE, "00")
    assert origin.span_id != SPAN
    assert tracing.parse(origin.traceparent) == (TRACE, origin.span_id, "00")


@pytest.mark.parametrize(
    "header",
    [
        "", "x", f"00-{TRACE}-{SPAN}", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n", f"00-{TRACE}-{SPAN}-1",
    ],
)  # fmt: skip
def test_a_malformed_trace_is_replaced(header: str) -> None:
    first, second = (tracing.of_request(None, header) for _ in range(2))
    assert first.trace_id not in (second.trace_id, TRACE)
    assert tracing.parse(first.traceparent)


def test_a_later_version_may_say_more() -> None:
    assert tracing.parse(f"01-{TRACE}-{SPAN}-01-more") == (TRACE, SPAN, "01")


@pytest.mark.parametrize("given", [None, "", "a b", "a\r\nSet-Cookie: x", "é", "a" * 129, "{x}"])
def test_a_request_id_that_is_not_one_is_replaced(given: str | None) -> None:
    assert tracing.parse(f"00-{tracing.of_request(given, None).request_id}-{SPAN}-01")


def test_a_job_without_origin_is_its_own() -> None:
    origin = tracing.of_job(TRACE, None, None)
    assert (origin.request_id, origin.job_id) == (TRACE, TRACE)
    assert tracing.parse(origin.traceparent)
