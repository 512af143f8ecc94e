"""A real ``bathysphere serve`` for tests: its own process, port, data folder and host daemon.

Every server gets a range of sandbox user ids of its own. So a test can say for certain which processes on the
machine belong to it, and that none is left when it has ended.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.specification.checked import AGAINST

COMMAND = (sys.executable, "-c", "import sys; from bathysphere.cli import main; sys.exit(main())")
# Under pytest, each answer of a server is held beside the specification; a benchmark's server is left alone.
SERVE = (sys.executable, "-m", "tests.specification.checked") if "PYTEST_VERSION" in os.environ else COMMAND
SERVERS_PER_PROCESS = 256
UIDS_PER_SERVER = 4096  # a container keeps its uid as long as it lives
START_SECONDS = 120.0
STOP_SECONDS = 60.0

# Settings of the surroundings that would make the server find a model by itself, or reach it through a proxy.
_UNWANTED = ("ANTHROPIC_", "OPENAI_", "OTEL_", "AWS_", "GOOGLE_", "CLOUD_ML_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

_servers_started = itertools.count()


class ServerFailed(Exception):
    """The server did not start or end as it should; the message holds what it printed."""


@dataclass
class Server:
    """A running server. ``key`` is of the first workspace, ``other_key`` of another one."""

    process: subprocess.Popen[bytes]
    port: int
    data: Path
    log: Path
    uids: range
    key: str = ""
    other_key: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that speaks HTTP. Started as root, it is the child of the keeper, which stays root."""
        if os.geteuid() != 0:
            return self.process.pid
        keeper = self.process.pid
        (child,) = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
        return int(child)

    def kill(self) -> None:
        """SIGKILL for the process that speaks HTTP; returns when the server's command has ended."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    def output(self) -> str:
        """What the server has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def client_environment(self, **more: str) -> dict[str, str]:
        """The environment in which an SDK finds this server: nothing but the base URL and the key is set."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return kept | {"ANTHROPIC_BASE_URL": self.base_url, "ANTHROPIC_API_KEY": self.key} | more

    def processes(self, saying: str = "") -> dict[int, str]:
        """Every process of this server by pid: itself, its host daemon, the launchers and what runs in sandboxes.

        Of them those whose command line holds ``saying``; to look for one is quick.
        """
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if saying not in command:
                    continue
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                ours = folder.stat().st_uid in self.uids or any(
                    opened.is_relative_to(self.data) for opened in _open_files(folder)
                )
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # ended meanwhile; or, for an ordinary user, somebody else's
            if state != "Z" and ours:
                found[int(folder.name)] = command
        return found

    def daemon_pid(self) -> int:
        """The pid of the host daemon: the process that holds the lock of the host's folder."""
        lock = self.data / "host" / "lock"
        (pid,) = (pid for pid in self.processes() if lock in _open_files(Path(f"/proc/{pid}")))
        return pid


def _open_files(process: Path) -> list[Path]:
    files = []
    for descriptor in (process / "fd").iterdir():
        # Closed meanwhile, of a process that not even root may look into, or with a path too long to be told.
        with contextlib.suppress(OSError):
            files.append(descriptor.readlink())
    return files


def peak_memory(pid: int) -> int:
    """The largest resident set that the process ever had since it started or since ``reset_peak_memory``, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no memory of its own")


def reset_peak_memory(pid: int) -> int:
    """Make the present resident set the peak, and return it in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_memory(pid)


def create_key(data: Path, environment: Mapping[str, str], *options: str) -> str:
    """A new API key, made by the command that the documentation names."""
    done = subprocess.run(
        [*COMMAND, "keys", "create", "--data", str(data), *options],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    if done.returncode != 0:
        raise ServerFailed(f"keys create ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    if len(done.stdout.split()) != 1:
        raise ServerFailed(f"keys create should print the key alone, it printed:\n{done.stdout}")
    return done.stdout.strip()


@contextmanager
def running_server(
    folder: Path,
    models: Sequence[Mapping[str, Any]] = ({"backend": "demo"},),
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start a server with its data in ``folder``; end it with SIGINT and see that it leaves nothing behind.

    ``models`` are the ``[[models]]`` entries of its configuration, ``tables`` the other tables by name.
    """
    number = next(_servers_started)
    # One of the first may run to the end: a range given twice would be two servers' at once.
    assert number < SERVERS_PER_PROCESS, "there is a range of user ids for each"
    first_uid = 1_900_000_000 + (os.getpid() % 128 * SERVERS_PER_PROCESS + number) * UIDS_PER_SERVER
    settings: dict[str, dict[str, Any]] = {name: dict(table) for name, table in (tables or {}).items()}
    host = {"first_uid": first_uid, "uid_count": UIDS_PER_SERVER, "linger_seconds": 0, "pool": 0}
    settings["host"] = host | settings.get("host", {})
    # A test waits for what ends with its client.
    settings["retries"] = {"grace_seconds": 2} | settings.get("retries", {})
    config = folder / "bathysphere.toml"
    config.write_text(_toml(settings, models), encoding="utf-8")
    data = folder / "data"
    log = folder / "server.log"
    surroundings = {name: value for name, value in os.environ.items() if not name.upper().startswith(_UNWANTED)}
    surroundings |= environment or {}

    port = free_port()
    arguments = ["serve", "--host", "127.0.0.1", "--port", str(port), "--data", str(data), "--config", str(config)]
    process = _start([*SERVE, *arguments], surroundings, log)
    server = Server(process, port, data, log, range(first_uid, first_uid + UIDS_PER_SERVER), environment=surroundings)
    try:
        _wait_until_ready(server)
        server.key = create_key(data, surroundings)
        server.other_key = create_key(data, surroundings, "--workspace", "other")
        yield server
    except BaseException:
        server.process.kill()
        server.process.wait()
        raise
    stop(server)


def start_again(server: Server) -> None:
    """Start a server that was killed, with the same command and the same data, and wait until it answers."""
    assert isinstance(server.process.args, list)
    server.process = _start(server.process.args, server.environment, server.log)
    _wait_until_ready(server)


def _start(command: list[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(server: Server) -> None:
    """End the server as Ctrl-C does. Raises ServerFailed when it ends badly or a process of it stays."""
    server.process.send_signal(signal.SIGINT)
    try:
        code = server.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.process.kill()
        raise ServerFailed(f"the server ignored SIGINT for {STOP_SECONDS:.0f} s:\n{server.output()}") from None
    if code not in (0, 130, -signal.SIGINT):
        raise ServerFailed(f"the server ended with {code} after SIGINT:\n{server.output()}")
    if "Traceback" in server.output():
        raise ServerFailed(f"the server printed a traceback:\n{server.output()}")
    if AGAINST in server.output():
        raise ServerFailed(f"the server gave answers that are not in the specification:\n{server.output()}")
    deadline = time.monotonic() + STOP_SECONDS
    while left := server.processes():
        if time.monotonic() > deadline:
            raise ServerFailed(f"processes are left behind: {left}\n{server.output()}")
        time.sleep(0.05)


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if server.process.poll() is not None:
            raise ServerFailed(f"the server ended with {server.process.returncode}:\n{server.output()}")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        try:
            connection.request("GET", "/v1/files")
            connection.getresponse().read()
            return
        except OSError:
            if time.monotonic() > deadline:
                server.process.kill()
                raise ServerFailed(f"the server is not ready after {START_SECONDS:.0f} s:\n{server.output()}") from None
            time.sleep(0.05)
        finally:
            connection.close()


def free_port() -> int:
    """A port of this machine that nobody listens at now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _toml(tables: Mapping[str, Mapping[str, Any]], models: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for name, table in [*tables.items(), *(("[models]", entry) for entry in models)]:
        lines.append(f"[{name}]")
        lines += [f"{key} = {_toml_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with the demo model for the whole session."""
    with running_server(tmp_path_factory.mktemp("demo-server")) as running:
        yield running
