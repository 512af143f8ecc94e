"""Showing a build: what it is doing, how long it has taken, how large the result is."""

from __future__ import annotations

import time
from typing import Protocol

from rich.console import Console
from rich.status import Status


class Progress(Protocol):
    """What a build reports to."""

    def begin(self, stage: str) -> None:
        """A stage starts; ``stage`` says in plain words what it does."""

    def line(self, text: str) -> None:
        """One line of output of the program at work."""

    def end(self, size: int | None = None) -> None:
        """The stage is over; ``size`` in bytes is that of the tree so far."""

    def fail(self) -> None:
        """The stage was broken off; the error that says why follows on its own way."""


class Silent:
    """Shows nothing."""

    def begin(self, stage: str) -> None:
        """See ``Progress``."""

    def line(self, text: str) -> None:
        """See ``Progress``."""

    def end(self, size: int | None = None) -> None:
        """See ``Progress``."""

    def fail(self) -> None:
        """See ``Progress``."""


class ConsoleProgress:
    """A spinner with the last line of output on a terminal; one line per stage anywhere else."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._status: Status | None = None
        self._stage = ""
        self._started = 0.0

    def begin(self, stage: str) -> None:
        """See ``Progress``."""
        self._stage, self._started = stage, time.monotonic()
        if self._console.is_terminal:
            self._status = self._console.status(stage)
            self._status.start()
        else:
            self._console.print(f"{stage} ...", highlight=False, markup=False)

    def line(self, text: str) -> None:
        """See ``Progress``."""
        if self._status is not None:
            took = time.monotonic() - self._started
            room = max(20, self._console.width - len(self._stage) - 20)
            self._status.update(f"{self._stage} [dim]{took:.0f} s  {_plain(text)[:room]}[/dim]")

    def end(self, size: int | None = None) -> None:
        """See ``Progress``."""
        self._close("" if size is None else f", {size / 1e6:.0f} MB")

    def fail(self) -> None:
        """See ``Progress``."""
        self._close(", not finished")

    def _close(self, result: str) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
        took = time.monotonic() - self._started
        self._console.print(f"{self._stage}: {took:.0f} s{result}", highlight=False, markup=False)


def _plain(text: str) -> str:
    return "".join(character for character in text if character.isprintable()).replace("[", "(").replace("]", ")")
