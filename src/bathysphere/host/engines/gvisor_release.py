"""Which runsc there is on this machine, and what its release can do."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bathysphere.host.engines.base import EngineError

PLACES = ("/usr/local/sbin", "/usr/local/bin", "/opt/gvisor", "/opt/gvisor/bin", "/usr/sbin", "/usr/bin")
"""Where runsc is looked for; the newest found is used, the first of equals."""

_ASK_SECONDS = 20.0

_DATE = re.compile(r"20\d{6}")


@dataclass(frozen=True, slots=True)
class Release:
    """A runsc."""

    program: Path
    date: str
    """Of the release, YYYYMMDD: how gVisor numbers them."""
    platform: str
    """How it catches system calls: ``systrap``, or ``ptrace`` where that is all it has."""
    flags: frozenset[str]
    """What may be said to it."""

    @classmethod
    def newest(cls, places: tuple[str, ...] = PLACES) -> Release:
        """The newest of this machine. Raises EngineError when there is none that works."""
        found = [release for place in places if (release := cls.at(Path(place) / "runsc")) is not None]
        if not found:
            raise EngineError(
                "gVisor is not installed: there is no working runsc in "
                f"{', '.join(places)}. Install it (apt install runsc), or take a newer release from gvisor.dev."
            )
        return max(found, key=lambda release: release.date)

    @classmethod
    def at(cls, program: Path) -> Release | None:
        """The runsc of this path; None when there is none, or it says nothing that can be understood."""
        if not program.is_file():
            return None
        version, flags = _asked(program, "--version"), _asked(program, "flags")
        date = _DATE.search(version)
        names = frozenset(re.findall(r"^\s+-{1,2}([\w-]+)", flags, re.MULTILINE))
        if date is None or not {"rootless", "ignore-cgroups", "platform", "root", "network"} <= names:
            return None
        choices = re.search(r"^\s+-{1,2}platform .*\n(.*)", flags, re.MULTILINE)
        systrap = choices is not None and "systrap" in choices[1]
        return cls(program, date[0], "systrap" if systrap else "ptrace", names)

    def options(self) -> list[str]:
        """What it is told before its command.

        KVM is left out as a platform: it needs the device of the machine and fails on many virtual ones.
        """
        options = ["--rootless", "--network=none", "--ignore-cgroups", f"--platform={self.platform}"]
        options += [f"--{name}={value}" for name, value in _LATER.items() if name in self.flags]
        return options

    @property
    def refuses_automount_flag(self) -> bool:
        """Whether AT_NO_AUTOMOUNT is an invalid argument to it, so that ``ls`` and ``stat`` of coreutils 9 fail.

        Seen with the release of 2022-12-19; what came later is given the benefit of its kernel.
        """
        return self.date <= "20221219"


_LATER = {"overlay2": "none", "directfs": "false"}
"""By themselves, newer releases lay a writable file over the image and let the sandbox's kernel open files itself."""


def _asked(program: Path, question: str) -> str:
    try:
        answer = subprocess.run(
            [program, question], capture_output=True, text=True, check=False, timeout=_ASK_SECONDS, env={}, cwd="/"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout + answer.stderr
