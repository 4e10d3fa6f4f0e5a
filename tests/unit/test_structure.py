"""How the parts may know each other, and that every dependency is pinned."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = {"api", "worker", "shared", "client", "standalone"}
MAY_IMPORT: dict[str, set[str]] = {
    "shared": set(),
    "api": {"shared"},
    "worker": {"shared"},
    "client": set(),
    "standalone": set(),
}  # fmt: skip
#: Inside `shared`, who may import whom, directly.
ORDER: dict[str, set[str]] = {
    "errors": set(), "settings": {"webhook"}, "logs": {"tracing"}, "neuron": set(), "kernel": set(),
    "forecast": set(), "webhook": set(), "job": {"webhook"}, "dataset": {"job", "kernel"},
    "tracing": set(), "telemetry": {"tracing"}, "observation": {"job", "store"},
    "store": {"errors", "job", "settings", "tracing"}, "queue": {"settings"},
    "outbox": {"job", "store"},
    "models": {"errors", "store"}, "questions": {"errors", "job", "store"},
}  # fmt: skip


def imported(path: Path) -> set[str]:
    """Modules that a file imports, in full; "from a import b" counts as a and a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


@pytest.mark.parametrize("part", sorted(PARTS))
def test_imports_between_parts_point_one_way(part: str) -> None:
    for path in (ROOT / part).rglob("*.py"):
        others = {name.partition(".")[0] for name in imported(path)} & PARTS - {part}
        assert others <= MAY_IMPORT[part], path


def test_imports_inside_shared_point_one_way() -> None:
    modules = {path.stem: path for path in (ROOT / "shared").glob("*.py")}
    del modules["__init__"]
    assert modules.keys() == ORDER.keys()
    for name, path in modules.items():
        own = {m.split(".")[1] for m in imported(path) if m.startswith("shared.")} & ORDER.keys()
        assert own <= ORDER[name], name


@pytest.mark.parametrize("name", ["neuron", "kernel", "dataset", "job"])
def test_the_core_knows_no_http_no_celery_and_no_redis(name: str) -> None:
    packages = {module.partition(".")[0] for module in imported(ROOT / "shared" / f"{name}.py")}
    assert not packages & {"flask", "werkzeug", "celery", "kombu", "redis", "requests"}


def test_every_dependency_is_pinned_and_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for wanted, lock in (
        (project["project"]["dependencies"], "requirements.txt"),
        (project["dependency-groups"]["dev"], "requirements-dev.txt"),
    ):
        locked = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
        pins = {name.lower(): version for name, version in locked}
        for entry in wanted:
            pinned = re.fullmatch(r"([\w-]+)(?:\[\w+\])?==([\w.]+)(?:;.*)?", entry)
            assert pinned, entry
            assert pins[pinned[1].lower()] == pinned[2]
