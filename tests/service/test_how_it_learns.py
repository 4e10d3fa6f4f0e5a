"""Every command, number and picture of docs/how-it-learns.md."""

import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from standalone.stack import Stack
from tests.pictures import PICTURES, take

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-it-learns.md").read_text()
BLOCK = re.compile(r"```console\n(.*?)```\n", re.DOTALL)
#: Numbers with a point or more than three digits, as the prose has them.
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*\.\d+(?:e-?\d+)?|(?<![\w.])-?\d[\d,]{3,}")


def commands() -> list[tuple[str, str]]:
    """Each command, and what it prints."""
    found = []
    for block in BLOCK.findall(PAGE):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            found.append((command, printed))
    return found


@pytest.fixture(scope="module")
def printed(stack: Stack) -> list[str]:
    """What each command prints now, all run in one shell; jobs are waited for."""
    script = "".join(f"{command}\nprintf '\\0'\n" for command, _ in commands())
    waits = "for job in $PUBLISHED $PLAIN $EXPLODED; do neuron watch $job >/dev/null; done\n"
    script = script.replace("neuron steps", waits + "neuron steps", 1)
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env={"NEURON_URL": stack.url, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return ran.stdout.split("\0")[:-1]


def test_every_command_prints_what_the_page_shows(printed: list[str]) -> None:
    shown = commands()
    assert len(printed) == len(shown) > 10
    for (command, expected), now in zip(shown, printed, strict=True):
        pattern = ".*".join(map(re.escape, expected.split("…")))
        lines = "".join(f"{line.rstrip()}\n" for line in now.splitlines())
        assert re.fullmatch(pattern, lines, re.DOTALL), (command, lines)


def test_every_number_of_the_prose_is_one_that_a_command_printed(printed: list[str]) -> None:
    prose = re.sub(r"http://\S+", "", BLOCK.sub("", PAGE))
    known = NUMBER.findall("\n".join([*printed, *(command for command, _ in commands())]))
    numbers = {number.replace(",", "") for number in NUMBER.findall(prose)}
    assert len(numbers) > 20
    for number in numbers:
        assert any(_is_rounded(number, other.replace(",", "")) for other in known), number


def _is_rounded(number: str, other: str) -> bool:
    """Whether the number is the other one with fewer digits, or the same without its sign."""
    places = len(number.partition(".")[2])
    if "e" in number:
        return float(number) == float(f"{float(other):.{places - number[::-1].index('e') - 1}e}")
    value = float(other)
    return float(number) in (round(value, places), round(abs(value), places))


def test_every_picture_can_be_taken_again(browser: Browser, stack: Stack, tmp_path: Path) -> None:
    shown = set(re.findall(r"\(pictures/([\w-]+)\.png\)", PAGE))
    kept = {path.stem for path in (ROOT / "docs" / "pictures").glob("*.png")}
    assert shown == kept == set(PICTURES)
    take(browser, stack.url, tmp_path)
    for name in PICTURES:
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
