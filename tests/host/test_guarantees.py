"""The guarantees are tried when a daemon starts. What fails keeps it from starting, unless it is waived by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bathysphere
from bathysphere.host.attempts import ATTEMPTS
from bathysphere.host.guarantees import LOST, MENDS, NAMES, ROOT_ONLY, judge
from bathysphere.settings import Settings, SettingsError

from .conftest import ROOT, Container, MakeHost

WITHOUT_GROUPS = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
"""A machine without control groups: in a mount namespace of its own, which root can have."""


def run_without_groups(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = 'umount --recursive --lazy /sys/fs/cgroup && exec "$0" -m bathysphere "$@"'
    package = str(Path(bathysphere.__file__).parent.parent)
    return subprocess.run(
        [*WITHOUT_GROUPS, command, sys.executable, *arguments],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": package, "COLUMNS": "200"},
    )  # fmt: skip


async def test_all_of_them_are_proved_when_the_daemon_starts(container: Container) -> None:
    status = await container.host.status()
    assert [proof.name for proof in status.proofs] == list(NAMES)
    for proof in status.proofs:
        assert proof.verdict == "held" if ROOT or proof.name not in ROOT_ONLY else proof.verdict != "failed", proof
        assert status.guarantees[proof.name] is (proof.verdict == "held")
        assert proof.seen
    lacking = [proof.name for proof in status.proofs if proof.verdict != "held"]
    assert set(status.weaknesses) >= {LOST[name] for name in lacking}
    assert any("share the kernel" in weakness for weakness in status.weaknesses)


def test_every_guarantee_is_tried_and_has_a_mend() -> None:
    assert {*ATTEMPTS, "own user id"} == set(NAMES) == set(MENDS)
    assert set(LOST) == ROOT_ONLY


def test_without_root_what_cannot_be_had_is_weaker_and_all_else_fails() -> None:
    for name in NAMES:
        assert judge(name, True, "seen", privileged=False).verdict == "held"
        assert judge(name, False, "seen", privileged=True).verdict == "failed"
        assert judge(name, False, "seen", privileged=False).verdict == ("weaker" if name in ROOT_ONLY else "failed")


def test_only_a_guarantee_can_be_waived(tmp_path: Path) -> None:
    file = tmp_path / "bathysphere.toml"
    file.write_text('[host]\nwaive = ["disk limits"]')
    with pytest.raises(SettingsError, match="disk limit"):
        Settings.load(file)


@pytest.mark.parametrize("waived", [False, True])
def test_a_machine_without_control_groups(tmp_path: Path, waived: bool) -> None:
    if not ROOT:  # there they are weaker, see above
        assert "memory limit" in ROOT_ONLY
        return
    names = ["memory limit", "processor limit", "process limit"]
    config = tmp_path / "bathysphere.toml"
    config.write_text(f"[host]\nlinger_seconds = 0\nwaive = {names if waived else []}")
    seen = run_without_groups("doctor", "--config", str(config))
    rows = {line[:22].strip(): line for line in seen.stdout.splitlines()}
    for name in ("memory limit", "processor limit"):
        assert ("WAIVED" if waived else "FAIL") in rows[name], seen.stdout
        assert "cgroup" in rows[name]
    assert " ok " in rows["disk limit"]
    assert seen.returncode == (0 if waived else 1)


async def test_what_is_waived_is_said_aloud_only_when_it_fails(make_host: MakeHost) -> None:
    host = make_host(host={"waive": ["own terminals", "disk limit"]})
    await host.start()
    assert not any("WAIVED" in weakness for weakness in (await host.status()).weaknesses)


def test_the_server_refuses_and_names_the_waiver(tmp_path: Path) -> None:
    if not ROOT:
        assert "memory limit" in ROOT_ONLY
        return
    config = tmp_path / "bathysphere.toml"
    config.write_text("[host]\nlinger_seconds = 0")
    options = ("serve", "--port", "0", "--data", str(tmp_path / "data"), "--config", str(config))
    seen = run_without_groups(*options)
    assert seen.returncode != 0
    assert "cgroup controllers" in seen.stderr and "host.waive" in seen.stderr, seen.stderr
