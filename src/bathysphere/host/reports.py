"""What a client is told of a finished command or cell: the guest's report, with what the system says about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bathysphere.guest.outputs import printable
from bathysphere.host.cgroups import Group, Usage
from bathysphere.host.sandbox import Report, printable_text
from bathysphere.settings import SandboxLimits


def valid_filename(name: str) -> bool:
    """Whether an uploaded file may have this name in the container."""
    return printable(name) and "/" not in name and name not in (".", "..")


class Measured:
    """What a command or a cell uses, from now on."""

    def __init__(
        self, limits: SandboxLimits, group: Group | None, written: Callable[[], int | None], full: Callable[[], bool]
    ) -> None:
        """``written`` gives the bytes written to the container's disk so far, ``full`` whether it has no room left."""
        self._limits = limits
        self._group = group
        self._written = written
        self._full = full
        self._before = group.usage() if group else None
        self._written_before = written()
        if group:
            group.reset_peak()

    def finish(self, report: Report) -> dict[str, Any]:
        """The report for the client, while its container is still held."""
        finished = _finished(report, self._limits, self._group, self._before)
        if self._full():
            finished["limits"].append("disk")
            finished["notes"].append(f"The disk limit of {readable_size(self._limits.disk_bytes)} was reached.")
        return finished

    def settle(self, finished: dict[str, Any]) -> dict[str, Any]:
        """The same with what has arrived on the disk, now that the container was given free."""
        total = self._written()
        before = self._written_before
        finished.setdefault("written_bytes", None if before is None or total is None else max(0, total - before))
        return finished


def _finished(report: Report, limits: SandboxLimits, group: Group | None, before: Usage | None) -> dict[str, Any]:
    notes = [printable_text(note) for note in report.notes]
    reached: list[str] = []
    cpu: float | None = None
    peak: int | None = None
    if group is not None and before is not None:
        after = group.usage()
        peak = after.peak_memory_bytes
        if after.cpu_seconds is not None and before.cpu_seconds is not None:
            cpu = max(0.0, after.cpu_seconds - before.cpu_seconds)
        if after.memory_kills > before.memory_kills:
            reached.append("memory")
            notes.append(
                f"The memory limit of {readable_size(limits.memory_bytes)} was reached and a process was killed."
            )
        if after.process_refusals > before.process_refusals:
            reached.append("processes")
            notes.append(f"The limit of {limits.processes} processes was reached and no more could be started.")
    if report.left_out_more:
        notes.append(f"{report.left_out_more} further files are not returned.")
    # Checked once more here: a guest that was taken over could send names that would harm a terminal.
    files = [entry for entry in report.files if valid_filename(entry[1]) and entry[2] <= limits.captured_file_bytes]
    kept, left_out = _within(files[: limits.captured_files], limits.captured_bytes)
    return {
        "return_code": report.return_code,
        "timed_out": report.timed_out,
        "duration_seconds": report.duration_seconds,
        "truncated": report.truncated,
        "files": kept,
        "left_out": [(printable_text(name), *rest) for name, *rest in report.left_out] + left_out,
        "notes": notes,
        "cpu_seconds": cpu,
        "peak_memory_bytes": peak,
        "limits": reached,
    }


def _within(
    files: list[tuple[str, str, int]], room: int
) -> tuple[list[tuple[str, str, int]], list[tuple[str, int, str, bool]]]:
    """The files that fit into ``room`` bytes together, and the others as left out.

    Their lengths count, whatever they take in the container: a file that is one hole would be stored in full.
    """
    kept = []
    left_out = []
    for handle, name, size in files:
        if size <= room:
            room -= size
            kept.append((handle, name, size))
        else:
            left_out.append((name, size, "too_much", False))
    return kept, left_out


def readable_size(count: int) -> str:
    """A number of bytes in the largest unit that fits."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} bytes"
