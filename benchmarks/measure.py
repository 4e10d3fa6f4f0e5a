"""Both sides in turn, several times; the fastest of each counts, as the machine is shared."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.box import MARKDOWN
from rich.table import Table


@dataclass(frozen=True)
class Result:
    """A row of the table. `met` is None where there is no target."""

    what: str
    ours: str
    other: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None


def seconds(deed: Callable[[], object]) -> float:
    """Return how long it takes."""
    started = time.perf_counter()
    deed()
    return time.perf_counter() - started


def fastest(*deeds: Callable[[], object], repeats: int) -> list[float]:
    """Return the least seconds of each deed, all done in turn."""
    rounds = [[seconds(deed) for deed in deeds] for _ in range(repeats)]
    return [min(column) for column in zip(*rounds, strict=True)]


def compared(what: str, times: Iterable[float], target: float | None = None) -> Result:
    """Compare two times, ours and the other's: the ratio is how many times as fast we are."""
    ours, other = times
    ratio = other / ours
    return Result(
        what,
        f"{1e3 * ours:,.1f} ms",
        f"{1e3 * other:,.1f} ms",
        f"{ratio:.2f}",
        "" if target is None else f"≥ {target}",
        None if target is None else ratio >= target,
    )


def limited(what: str, value: float, unit: str, most: float | None = None) -> Result:
    """Compare a figure with the most that it may be."""
    target, met = ("", None) if most is None else (f"≤ {most:g} {unit}", value <= most)
    return Result(what, f"{value:.4g} {unit}", target=target, met=met)


def table(results: Iterable[Result]) -> Table:
    """Lay the results out for `rich` to print."""
    verdicts = {None: "", True: "met", False: "MISSED"}
    drawn = Table("what", "ours", "other", "times as fast", "target", "verdict", box=MARKDOWN)
    for row in results:
        drawn.add_row(row.what, row.ours, row.other, row.ratio, row.target, verdicts[row.met])
    return drawn
