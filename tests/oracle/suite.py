"""The tests that the SDK brings along, run against a server of ours (WIRE k.6)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tarfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.clients.environments import made_once, python_environment, run_process
from tests.specification.checked import AGAINST

HERE: Final = Path(__file__).parent
START_SECONDS: Final = 120.0
END_SECONDS: Final = 60.0

FILES: Final = (
    "test_messages.py",
    "messages/test_batches.py",
    "test_files.py",
    "test_models.py",
    "test_skills.py",
    "skills/test_versions.py",
    "test_organization.py",
    "organization/test_api_keys.py",
    "beta/test_messages.py",
    "beta/messages/test_batches.py",
    "beta/test_files.py",
    "beta/test_models.py",
    "beta/test_skills.py",
    "beta/skills/test_versions.py",
)
"""Below ``tests/api_resources``. Those of workspaces are not among them: they want data that lies in the US."""

OWN_SKIPS: Final = "aiohttp client is not compatible with respx_mock"
"""Why the SDK leaves out some of its tests by itself: they need no server."""


@dataclass(frozen=True)
class Outcome:
    """What became of the tests. ``refused`` and ``skipped`` are counted by reason."""

    passed: int
    refused: Counter[str]
    skipped: Counter[str]
    failed: list[str]
    output: str

    def table(self) -> str:
        """The figures, a line each."""
        lines = [f"{self.passed:5} passed", f"{len(self.failed):5} failed"]
        lines += [f"{count:5} refused: {why}" for why, count in sorted(self.refused.items())]
        lines += [f"{count:5} left out by the SDK: {why}" for why, count in sorted(self.skipped.items())]
        return "\n".join([*lines, *(f"      {name}" for name in self.failed)])


def _environment() -> Path:
    return python_environment("oracle", HERE / "requirements.txt") / "bin" / "python"


def _tests() -> Path:
    """The unpacked source distribution: the wheel has no tests."""

    def install(folder: Path) -> None:
        options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
        command = [str(_environment()), "-m", "pip", "--disable-pip-version-check", "download", *options]
        kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PIP_TARGET")}
        # The build backend is looked for on the PATH too.
        kept["PATH"] = f"{_environment().parent}{os.pathsep}{kept['PATH']}"
        run_process([*command, "--dest", str(folder), "-r", str(HERE / "sdist.txt")], kept, folder)
        (archive,) = folder.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")

    folder = made_once("oracle-tests", HERE / "sdist.txt", install)
    (unpacked,) = folder.glob("anthropic-*/")
    return unpacked


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    log = folder / "server.log"
    command = [sys.executable, "-m", "tests.oracle.server", str(folder / "data"), str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=HERE.parents[1], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        _wait(process, port, log)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        process.wait(END_SECONDS)
        assert AGAINST not in log.read_text(), log.read_text()
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)


def run(folder: Path, arguments: Sequence[str] = ()) -> Outcome:
    """Run the tests, or those that pytest's ``arguments`` choose; ``folder`` is for what comes up on the way."""
    report = folder / "report.xml"
    tests = _tests()
    with _server(folder) as url:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        command = [str(_environment()), "-m", "pytest", "-W", "default", "-q", "--tb=short", "-n", "0"]
        command += ["-p", "no:cacheprovider", "-p", "oracle_refusals", f"--junitxml={report}", *arguments]
        done = subprocess.run(
            [*command, *(f"tests/api_resources/{name}" for name in FILES)],
            cwd=tests,
            env=kept | {"TEST_API_BASE_URL": url, "PYTHONPATH": str(HERE / "plugin"), "HOME": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert report.exists(), done.stdout + done.stderr
    return _outcome(report, done.stdout)


def _outcome(report: Path, output: str) -> Outcome:
    passed = 0
    refused: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    failed: list[str] = []
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif skip is None:
            passed += 1
        else:
            (refused if skip.get("type") == "pytest.xfail" else skipped)[str(skip.get("message"))] += 1
    return Outcome(passed, refused, skipped, failed, output)
