"""The supervisor with a real Redis, Celery and Granian around a stand-in worker and API."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
import redis
from celery import Celery

from standalone import Process, Program, Stack, StartError, data_directory, ports, redis_server
from standalone.__main__ import make_stack
from standalone.errors import DataDirectoryInUseError, PortTakenError
from standalone.process import next_delay
from standalone.redis_server import RedisServer
from standalone.stack import REDIS_GRACE, without_secrets
from standalone.watchdog import Watchdog

CHECKOUT = Path(__file__).parents[2]
API = """
import os
def create_app():
    def app(environ, start_response):
        ready = environ["PATH_INFO"] == "/healthz" or os.path.exists("ready")
        start_response("200 OK" if ready else "503 Service Unavailable", [])
        return [b""]
    return app
"""
WORKER = """
import os, time
import celery, celery.signals, redis
url = os.environ["NEURON_REDIS_URL"]
app = celery.Celery("stand-in", broker=url.replace("unix:", "redis+socket:"))
store = redis.Redis.from_url(url)
@celery.signals.worker_ready.connect
def ready(**_):
    store.set("worker", os.getpid())
    open("ready", "w").close()
@app.task(name="work")
def work():
    store.set("busy", os.getpid())
    time.sleep(600)
"""


@dataclass
class Supervisor:
    """A `python -m standalone` in a folder of its own, and all that it started."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def store(self) -> "redis.Redis":
        return redis.Redis.from_url(f"unix://{self.folder}/.data/redis.sock")

    @property
    def status(self) -> str:
        return (self.folder / "stderr").read_text()

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.status or self.process.poll() is not None)
        assert text in self.status, self.status

    def children(self, name: str) -> list[psutil.Process]:
        """Those whose command line holds `name`."""
        found = []
        for process in living_in(self.folder):
            with suppress(psutil.Error):  # it may end while it is looked at
                if name in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def leader(self, name: str) -> int:
        parents = {one.ppid(): one.pid for one in self.children(name)}
        return parents[self.process.pid]

    def busy(self) -> int:
        """Gives the worker a task that takes longer than any grace; the id of its process."""
        self.store.delete("busy")
        broker = f"redis+socket://{self.folder}/.data/redis.sock"
        with Celery(broker=broker, set_as_current=False) as stand_in:
            stand_in.send_task("work")
        wait_until(lambda: bool(self.store.exists("busy")))
        return int(self.store.get("busy") or 0)


def wait_until(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def nothing_lives_in(folder: Path) -> None:
    """A process that was killed may take a moment to go."""
    wait_until(lambda: living_in(folder) == [])


def living_in(folder: Path) -> list[psutil.Process]:
    """Every live process that works in the folder, whoever its parent is now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            alive = process.status() != psutil.STATUS_ZOMBIE
            place = Path(process.cwd().removesuffix(" (deleted)"))
            if alive and place.is_relative_to(folder):
                found.append(process)
    return found


def stand_ins(folder: Path) -> Path:
    """Fill the folder."""
    (folder / "standalone").symlink_to(CHECKOUT / "standalone")
    for module, text in (("api/__init__.py", API), ("worker/app.py", WORKER)):
        package = (folder / module).parent
        package.mkdir()
        (folder / module).write_text(text)
        (package / "__main__.py").symlink_to(CHECKOUT / package.name / "__main__.py")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return stand_ins(tmp_path)


@contextmanager
def supervisor(folder: Path, *arguments: str, **environment: str) -> Iterator[Supervisor]:
    scratch = folder / "tmp"
    scratch.mkdir(exist_ok=True)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NEURON_")}
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "standalone", *arguments],
            cwd=folder,
            env=clean | {"TMPDIR": str(scratch)} | environment,
            stdout=out,
            stderr=err,
        )
    try:
        yield Supervisor(process, folder)
    finally:
        process.kill()
        process.wait()
        for orphan in living_in(folder):
            with suppress(psutil.Error):
                orphan.kill()


@contextmanager
def serving(folder: Path) -> Iterator[Supervisor]:
    with supervisor(folder, "--port", "0") as running:
        running.wait_for("Ctrl-C")
        yield running


@pytest.fixture
def served(folder: Path) -> Iterator[Supervisor]:
    with serving(folder) as running:
        yield running


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """One for all tests that leave it running."""
    with serving(stand_ins(tmp_path_factory.mktemp("lasting"))) as running:
        yield running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_that_was_started_the_last_first_and_nothing_else(
    served: Supervisor, number: signal.Signals
) -> None:
    with subprocess.Popen(["sleep", "600"]) as bystander:
        wait_until(lambda: len(living_in(served.folder)) >= 8)
        served.process.send_signal(number)
        assert served.process.wait(90) == 0
        nothing_lives_in(served.folder)
        assert bystander.poll() is None
        bystander.kill()
    assert list((served.folder / "tmp").glob("neuron-*")) == []
    goodbyes = ["Shutting down granian", "Warm shutdown", "User requested shutdown"]
    assert sorted(goodbyes, key=served.status.index) == goodbyes


def test_output_is_labelled_and_not_coloured_in_a_file(lasting: Supervisor) -> None:
    def labels() -> set[str]:
        return {line.split("|")[0] for line in lasting.status.splitlines() if "|" in line}

    wait_until(lambda: {"redis  ", "worker ", "api    "} <= labels())
    assert "\x1b" not in lasting.status
    assert (lasting.folder / "stdout").read_bytes() == b""


def test_a_second_ctrl_c_kills_at_once(served: Supervisor) -> None:
    served.busy()
    served.process.send_signal(signal.SIGINT)
    served.wait_for("Warm shutdown")
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(90) == 130
    wait_until(lambda: living_in(served.folder) == [], REDIS_GRACE)  # before the watchdog would


def test_a_killed_redis_comes_back_with_its_data(lasting: Supervisor) -> None:
    lasting.store.set("written", "before")
    killed = lasting.leader("redis-server")
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: "redis died (SIGKILL); starting it again in 0.1 s" in lasting.status)
    wait_until(lambda: answers(lasting.store))
    assert lasting.leader("redis-server") != killed
    assert lasting.store.get("written") == b"before"


def answers(store: "redis.Redis") -> bool:
    try:
        return bool(store.ping())
    except redis.RedisError:
        return False


@pytest.mark.parametrize("name", ["-m worker", "-m api"])
def test_a_killed_parent_is_started_again_and_its_children_are_gone(
    lasting: Supervisor, name: str
) -> None:
    wait_until(lambda: len(lasting.children(name)) >= 3)
    before = lasting.children(name)
    os.kill(lasting.leader(name), signal.SIGKILL)
    wait_until(lambda: not set(before) & set(living_in(lasting.folder)))
    wait_until(lambda: len(lasting.children(name)) >= 3)


@pytest.mark.parametrize("others", [(), ("-m worker", "-m api")])
def test_nothing_outlives_a_killed_supervisor(served: Supervisor, others: tuple[str, ...]) -> None:
    served.busy()
    victims = [served.process.pid, *map(served.leader, others)]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    # Long before the watchdog would kill it: it was asked to stop.
    wait_until(lambda: served.children("redis-server") == [], 0.9 * REDIS_GRACE)
    nothing_lives_in(served.folder)
    assert list((served.folder / "tmp").glob("neuron-*")) == []


def test_a_start_after_a_killed_supervisor_waits_for_its_redis(served: Supervisor) -> None:
    served.store.set("written", "before")
    served.process.kill()
    served.process.wait()
    with supervisor(served.folder, "--port", "0") as second:
        second.wait_for("Ctrl-C")
        assert second.store.get("written") == b"before"


def test_a_redis_that_outlives_its_supervisor_keeps_the_data_locked(
    served: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_directory, "ORPHAN_SECONDS", 0)
    orphan = served.leader("redis-server")
    os.kill(orphan, signal.SIGSTOP)
    served.process.kill()
    served.process.wait()
    with pytest.raises(DataDirectoryInUseError):
        data_directory.lock(served.folder / ".data")
    os.kill(orphan, signal.SIGCONT)


def test_a_second_start_on_the_same_data_names_the_first(lasting: Supervisor) -> None:
    first = lasting.process.pid
    answer = subprocess.run(
        [sys.executable, "-m", "standalone", "--port", "0"],
        cwd=lasting.folder,
        check=False,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1
    assert f"{lasting.folder}/.data is in use by process {first}.\n" in answer.stderr
    assert lasting.process.poll() is None


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_taken_port_ends_the_start_before_anything_is_made(
    folder: Path, taken: int, by: str
) -> None:
    option = ("--port", str(taken)) if by == "option" else ()
    with supervisor(folder, *option, NEURON_PORT=str(taken)) as stopped:
        assert stopped.process.wait(90) == 1
    message = f"Port {taken} on 127.0.0.1 is taken; set NEURON_PORT to a free one.\n"
    assert stopped.status == f"neuron | {message}"
    assert not (folder / ".data").exists()


def test_a_taken_default_port_is_told_and_another_one_used(
    taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"host": "127.0.0.1", "port": taken, "explicit": False}
    assert make_stack(settings).port == 0
    assert f"Port {taken} on 127.0.0.1 is taken" in capsys.readouterr().err


def test_a_reserved_port_is_not_free_for_others() -> None:
    port = ports.free_port("127.0.0.1", 0)
    with ports.reserve("127.0.0.1", port), pytest.raises(PortTakenError):
        ports.free_port("127.0.0.1", port)


def test_the_url_of_a_server_on_every_address_is_reachable() -> None:
    assert ports.url_of("0.0.0.0", 80) == "http://127.0.0.1:80"
    assert ports.url_of("::", 80) == "http://[::1]:80"


def test_a_server_gets_the_address_of_the_name_that_it_listens_on() -> None:
    for host in ("localhost", "127.0.0.1", "::1"):
        assert ip_address(ports.address_of(host)).is_loopback


def run_script(folder: Path, script: str, *options: str) -> Supervisor:
    command = ("--quiet", "--ephemeral", "--port", "0", *options, "--", sys.executable, "-c")
    with supervisor(folder, "run", *command, script) as finished:
        finished.process.wait(90)
        nothing_lives_in(finished.folder)
    assert list((folder / "tmp").glob("neuron-*")) == []
    return finished


def test_run_gives_the_command_a_url_its_stdout_and_its_exit_code(folder: Path) -> None:
    script = "import os, requests; print(requests.get(os.environ['NEURON_URL'] + '/readyz').ok)"
    finished = run_script(folder, script + "; raise SystemExit(7)")
    assert finished.process.returncode == 7
    assert (folder / "stdout").read_text() == "True\n"
    assert "worker |" not in finished.status
    assert not (folder / ".data").exists()


def test_the_real_worker_and_api_come_up(tmp_path: Path) -> None:
    script = "import os, requests; print(requests.get(os.environ['NEURON_URL'] + '/readyz').text)"
    options = ("--quiet", "--ephemeral", "--port", "0", "--", sys.executable, "-c", script)
    answer = subprocess.run(
        [sys.executable, "-m", "standalone", "run", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert '"workers":1' in answer.stdout.replace(" ", "")


def test_run_reports_the_signal_that_ended_the_command(folder: Path) -> None:
    finished = run_script(folder, "import os; os.kill(os.getpid(), 9)")
    assert finished.process.returncode == 128 + 9


def test_run_does_not_start_anything_for_a_command_that_is_missing(folder: Path) -> None:
    with supervisor(folder, "run", "--", "no-such-command") as stopped:
        assert stopped.process.wait(90) == 127
    assert stopped.status == "neuron | no-such-command: command not found\n"


def test_a_terminated_run_ends_its_command(folder: Path) -> None:
    script = "import time; print('begun', flush=True); time.sleep(600)"
    with supervisor(
        folder, "run", "--ephemeral", "--port", "0", "--", sys.executable, "-c", script
    ) as running:
        wait_until(lambda: "begun" in (folder / "stdout").read_text())
        running.process.terminate()
        assert running.process.wait(90) == 128 + signal.SIGTERM
        nothing_lives_in(running.folder)


def test_a_quiet_start_that_fails_shows_the_last_lines(folder: Path) -> None:
    (folder / "worker/app.py").write_text("raise SystemExit('no neuron today')")
    finished = run_script(folder, "pass")
    assert finished.process.returncode == 1
    assert "worker ended at its start:" in finished.status
    assert "worker | no neuron today" in finished.status


@pytest.fixture
def own_redis() -> Iterator[str]:
    with TemporaryDirectory(prefix="own-redis-") as folder:
        yield from redis_with_password(Path(folder))


def redis_with_password(folder: Path) -> Iterator[str]:
    path = folder / "redis.sock"
    command = (*redis_server.find().command(folder, path), "--requirepass", "hunter2")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        url = f"unix://:hunter2@{path}"
        wait_until(lambda: redis_server.answers(url))
        yield url
        process.kill()


def test_a_redis_of_ones_own_is_used_and_left_running(folder: Path, own_redis: str) -> None:
    with supervisor(folder, "--port", "0", NEURON_REDIS_URL=own_redis) as running:
        running.wait_for("Ctrl-C")
        assert running.children("redis-server") == []
        running.process.terminate()
        assert running.process.wait(90) == 0
    assert redis.Redis.from_url(own_redis).exists("worker")
    assert "hunter2" not in running.status.partition("worker |")[0]
    assert not (folder / ".data").exists()


def test_a_wrong_password_is_told_without_being_told(own_redis: str) -> None:
    with pytest.raises(StartError, match="another password") as caught:
        Stack(redis_url=own_redis.replace("hunter2", "hunter3")).start()
    assert "hunter" not in str(caught.value)


def test_a_redis_that_does_not_answer_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("standalone.stack.OWN_REDIS", 0.1)
    with pytest.raises(StartError, match=r"No answer from Redis at redis://127.0.0.1:1/0") as e:
        Stack(redis_url="redis://user:hunter2@127.0.0.1:1/0").start()
    assert "hunter2" not in str(e.value)


def test_a_url_is_shown_without_what_is_secret_in_it() -> None:
    assert without_secrets("redis://a:b@host:1/2?password=c") == "redis://host:1/2"
    assert without_secrets("unix://:b@/run/redis.sock?db=1") == "unix:///run/redis.sock"


def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(StartError, match="must begin with redis://"):
        Stack(redis_url="http://127.0.0.1").start()


def test_a_stack_gives_its_urls_and_processes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("standalone.stack.ROOT", folder)
    with Stack() as stack:
        assert redis_server.answers(stack.redis_url)
        pids = [stack.process(name).pid for name in ("redis", "worker", "api")]
        assert all(map(psutil.pid_exists, pids))
        assert "ready to accept connections" in stack.log_path.read_text()
    assert not any(map(psutil.pid_exists, pids))
    assert not stack.data_dir.exists()


def test_a_redis_that_ends_at_its_start_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "appendonly.aof").write_text("not an append-only file")
    with pytest.raises(StartError, match=r"redis ended at its start:(.|\n)*Bad file format"):
        Stack(data_dir=tmp_path).start()


def test_data_of_a_newer_redis_are_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(StartError, match="written by Redis 7 or newer"):
        RedisServer("redis-server", (6, 2, 14)).check_can_read(tmp_path)
    RedisServer("redis-server", (7, 0, 0)).check_can_read(tmp_path)


@pytest.mark.parametrize(("version", "taken"), [("7.4.1", True), ("6.0.16", False)])
def test_a_redis_on_the_path_is_preferred_unless_it_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, taken: bool
) -> None:
    binary = tmp_path / "redis-server"
    binary.write_text(f"#!/bin/sh\necho Redis server v={version} sha=0\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (redis_server.find().binary == str(binary)) is taken


def test_without_any_redis_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis_server, "find_spec", lambda _: None)
    with pytest.raises(StartError, match=r"install Redis .* or set NEURON_REDIS_URL"):
        redis_server.find()


def test_data_are_within_reach_of_their_owner_alone(tmp_path: Path) -> None:
    made = data_directory.create(tmp_path / "data")
    assert made.stat().st_mode & 0o777 == 0o700
    assert data_directory.socket_path(made, tmp_path) == made / "redis.sock"


@pytest.mark.parametrize("name", ["x" * 100, "with space", "open"])
def test_a_socket_that_cannot_be_in_the_data_folder_is_elsewhere(tmp_path: Path, name: str) -> None:
    made = data_directory.create(tmp_path / name)
    if name == "open":
        made.chmod(0o755)
    assert data_directory.socket_path(made, tmp_path) == tmp_path / "redis.sock"


def test_the_lock_lasts_as_long_as_a_process_that_inherited_it(tmp_path: Path) -> None:
    lock = data_directory.lock(tmp_path)
    with subprocess.Popen(["sleep", "600"], pass_fds=[lock]) as heir:
        os.close(lock)
        with pytest.raises(DataDirectoryInUseError, match=f"by process {os.getpid()}"):
            data_directory.lock(tmp_path)
        heir.kill()
    os.close(data_directory.lock(tmp_path))


class Deaf:
    def heard(self, name: str, line: str) -> None: ...

    def died(self, process: Process, cause: str, delay: float) -> None: ...


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace_with_its_group(
    tmp_path: Path,
) -> None:
    watchdog = Watchdog(tmp_path / "scratch")
    script = "trap '' TERM; sleep 600 & echo $!; while :; do sleep 1; done"
    stubborn = Process(
        Program("stubborn", ("sh", "-c", script), grace=0.3), tmp_path, os.environ, Deaf(), watchdog
    )
    stubborn.start()
    wait_until(lambda: bool(stubborn.tail))
    pids = [stubborn.pid, int(stubborn.tail[0])]
    begun = time.monotonic()
    stubborn.stop()
    watchdog.close()
    assert time.monotonic() - begun >= 0.3
    wait_until(lambda: not any(map(is_running, pids)))


def is_running(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_delays_between_starts_grow_and_are_forgotten_after_a_long_life() -> None:
    delays = [0.0]
    while delays[-1] < 5:
        delays.append(next_delay(delays[-1], lived=1))
    assert delays[1:] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5]
    assert next_delay(5, lived=10) == 0.1
