"""A finished job in the words and the number format of the article's program (JavaScript)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from client.results import Demo, Epoch, Job


def article(job: Job, epochs: Sequence[Epoch], *, elide: bool = False) -> str:
    """What the article prints for this job, without a final line feed.

    With ``elide``, epochs that only repeat the first one's accuracy become "...", as in the
    article's second block.
    """
    return "\n".join(
        [
            *_demo(job.demo_before or ()),
            *_epochs(job, epochs, elide and _all_alike(epochs)),
            *_demo(job.demo_after or ()),
        ]
    )


def _demo(rows: Iterable[Demo]) -> Iterator[str]:
    yield "Demo:"
    for row in rows:
        total = " + ".join(map(js_number, row.inputs))
        yield f"Expected : {total} = {js_number(row.expected)}"
        actual = "not finite" if row.actual is None else js_number(row.actual)
        yield f"Actual : {total} = {actual}"


def _all_alike(epochs: Sequence[Epoch]) -> bool:
    return len(epochs) > 1 and len({(epoch.correct, epoch.total) for epoch in epochs}) == 1


def _epochs(job: Job, epochs: Sequence[Epoch], elided: bool) -> Iterator[str]:
    wanted = job.specification.hyperparameters
    for epoch in epochs[:1] if elided else epochs:
        yield f"epoch {epoch.epoch}/{wanted.epochs} completed"
        yield accuracy_line(epoch, wanted.error_margin_percent)
    if elided:
        yield "..."


def accuracy_line(epoch: Epoch, error_margin_percent: float) -> str:
    """The article's line on one epoch's accuracy."""
    percent = js_number(round_n_places(100 * (epoch.correct / epoch.total), 2))
    margin = js_number(error_margin_percent)
    return f"Accuracy: {epoch.correct}/{epoch.total}({percent}%) correct within -/+{margin}%"


def round_n_places(number: float, places: int) -> float:
    """Half up, as JavaScript's ``Math.round`` does, at so many decimal places."""
    return math.floor(number * 10.0**places + 0.5) / 10.0**places


def js_number(number: float) -> str:
    """``number`` as JavaScript prints it (ECMAScript, Number::toString).

    Both languages take the shortest digits that read back to the same double; they differ in
    where the point goes and when an exponent is used.
    """
    number = float(number)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    sign = "-" if number < 0 else ""
    _, digits, exponent = Decimal(repr(abs(number))).normalize().as_tuple()
    return sign + _placed("".join(map(str, digits)), int(exponent))


def _placed(digits: str, exponent: int) -> str:
    """``digits``·10^``exponent``; ``point`` is how many digits stand before the point."""
    point = len(digits) + exponent
    if exponent >= 0 and point <= 21:
        return digits + "0" * exponent
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{mantissa}e{point - 1:+d}"
