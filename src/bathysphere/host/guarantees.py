"""The guarantees of a container: which there are, whether they hold here, and what to do where one does not.

They are found out by trying: a program inside a sandbox attempts what it must not be able to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from bathysphere.settings import GuaranteeName

Verdict = Literal["held", "weaker", "failed"]

NAMES: tuple[GuaranteeName, ...] = get_args(GuaranteeName)

ROOT_ONLY: frozenset[GuaranteeName] = frozenset(
    {"own user id", "own view of the image", "own terminals", "memory limit", "processor limit", "disk limit"}
)
"""What an ordinary user of a machine cannot give to a sandbox, or not everywhere; without it things run, weaker."""

_CGROUPS = (
    "Mount the cgroup controllers memory, cpu and pids, or start the server in a cgroup of its own (systemd: "
    "Delegate=yes)."
)

MENDS: Mapping[GuaranteeName, str] = {
    "ordinary user": "bubblewrap does not take privileges away: use the distribution's own package.",
    "system call filter": "The kernel needs CONFIG_SECCOMP_FILTER; in a container, allow seccomp(2).",
    "no network": "The kernel needs CONFIG_NET_NS; in a container, allow network namespaces.",
    "own processes": "The kernel needs CONFIG_PID_NS; process 1 must not be visible to its commands.",
    "nothing of the host": "Something of the machine is shown inside. Report this with the line on the left.",
    "read-only image": "The image can be written to: look at how it is mounted, and build it again.",
    "no core dumps": "Set the hard limit of core dumps (ulimit -H -c) of whoever starts the server to 0 or more.",
    "own user id": "Run the server as root to give each container a user id of its own.",
    "own view of the image": "The kernel needs overlay file systems (modprobe overlay). Without root it cannot be had.",
    "own terminals": "The kernel must allow to mount devpts. Without root it cannot be had.",
    "memory limit": _CGROUPS,
    "processor limit": _CGROUPS,
    "process limit": _CGROUPS,
    "disk limit": "Loop devices and mkfs.ext4 are needed (modprobe loop; apt install e2fsprogs), and root.",
}

LOST: Mapping[GuaranteeName, str] = {
    "own user id": "All containers belong to the same user of this machine; only the sandbox keeps them apart.",
    "own view of the image": "A container can be told which files of the image others open, and can lock them.",
    "own terminals": "A container can take all pseudo-terminals of this machine.",
    "memory limit": "Memory is limited per process, not per container, so a container can use several times its limit.",
    "processor limit": "Processor time is not limited: a container can use every processor.",
    "disk limit": "The disk of a container has no limit of its own: a container can fill the disk of this machine.",
}
"""What it means that a guarantee cannot be had."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of trying one guarantee."""

    name: GuaranteeName
    verdict: Verdict
    """``weaker``: it does not hold and cannot without root; ``failed``: it does not hold, and should."""
    seen: str

    @property
    def mend(self) -> str:
        """What to do when it does not hold."""
        return "" if self.verdict == "held" else MENDS[self.name]


def judge(name: GuaranteeName, held: bool, seen: str, privileged: bool) -> Proof:
    """The verdict on what was seen."""
    if held:
        return Proof(name, "held", seen)
    return Proof(name, "weaker" if name in ROOT_ONLY and not privileged else "failed", seen)
