"""User ids for sandboxes: one each, from a range of our own."""

from __future__ import annotations

from collections.abc import Iterable

from bathysphere.host.disks.base import DiskError
from bathysphere.host.processes import Identity
from bathysphere.settings import HostSettings


def range_of(settings: HostSettings, name: str) -> tuple[int, int]:
    """The first user id of a daemon's sandboxes, and how many there are; ``name`` is the daemon's own.

    Twice as many as can run, not more, because what maps files to an id is kept. Data directories begin at different
    ones, so that two daemons seldom meet.
    """
    seed = int(name.rpartition("-")[2], 16)
    count = min(settings.uid_count, 2 * settings.max_sandboxes + 16)
    return settings.first_uid + seed % (settings.uid_count - count + 1), count


class UserIds:
    """The range, and which of it are in use. An id that was given back is the last one to be given again."""

    def __init__(self, first: int, count: int, seed: int, used: Iterable[int] = ()) -> None:
        """``seed`` tells where to begin, so that daemons of different data directories seldom meet."""
        self._first = first
        self._count = count
        self._next = seed % count
        self._used = set(used)

    def take(self) -> Identity:
        """An id that nobody has. Raises DiskError when there is none."""
        for step in range(self._count):
            uid = self._first + (self._next + step) % self._count
            if uid not in self._used:
                self._used.add(uid)
                self._next = uid - self._first + 1
                return Identity(uid, uid)
        raise DiskError(
            f"All {self._count} user ids for containers are in use. Delete containers, or raise host.uid_count."
        )

    @property
    def range(self) -> range:
        """Every id, in use or not."""
        return range(self._first, self._first + self._count)

    def give_back(self, uid: int) -> None:
        """Nobody has this id any more."""
        self._used.discard(uid)
