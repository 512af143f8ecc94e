"""The units for systemd, and what docs/operating.md has an operator type, are what this version understands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bathysphere.cli import main
from bathysphere.host.privileges import DAEMON
from bathysphere.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
UNIT = (ROOT / "deploy" / "bathysphere.service").read_text()


def lines_of(text: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def commands() -> Iterator[list[str]]:
    for unit in [*sorted((ROOT / "deploy").glob("*.service")), ROOT / "deploy" / "without-root.conf"]:
        for line in filter(None, lines_of(unit.read_text(), "ExecStart")):
            yield shlex.split(line)[1:]
    page = (ROOT / "docs" / "operating.md").read_text()
    for block in re.findall(r"^```sh$(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^bathysphere (.*)$", block, re.MULTILINE):
            yield shlex.split(line, comments=True)


@pytest.mark.parametrize("arguments", list(commands()), ids=" ".join)
def test_every_command_and_option_exists(arguments: list[str]) -> None:
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group) and arguments:
        name, *arguments = arguments
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
    given = {argument for argument in arguments if argument.startswith("--")}
    assert given <= {option for parameter in command.params for option in parameter.opts}


def test_the_service_may_do_what_the_daemon_needs_and_no_more() -> None:
    (capabilities,) = lines_of(UNIT, "CapabilityBoundingSet")
    assert set(capabilities.split()) == {f"CAP_{capability.name}" for capability in DAEMON}
    assert lines_of(UNIT, "Type") == ["notify"] and lines_of(UNIT, "NotifyAccess") == ["all"]
    assert lines_of(UNIT, "Delegate") == ["yes"] and lines_of(UNIT, "OOMPolicy") == ["continue"]
    # They would cover parts of /proc or /sys: no sandbox could then mount a /proc of its own.
    for name in (
        "ProtectKernelTunables",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "ProtectHostname",
        "ProtectProc",
    ):
        assert lines_of(UNIT, name) == []
    (stop,) = map(int, lines_of(UNIT, "TimeoutStopSec"))
    assert stop > Settings().server.drain_seconds + Settings().server.drain_notice_seconds
