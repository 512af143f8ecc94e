"""Calls to the host daemon as metrics and spans: how long each took, and where, by what the daemon says of it."""

from __future__ import annotations

import time
from typing import Any, Final

from bathysphere.containers.host import Finished
from bathysphere.telemetry import metrics, tracing
from bathysphere.telemetry.tracing import NOT_TRACED

_PHASES: Final = {
    "wait": "wait for the container", "start": "start the sandbox", "run": "run", "sync": "write to disk",
}  # fmt: skip
_STARTS: Final = frozenset({"pool", "cold", "restored"})
_OF_GUESTS: Final = frozenset({"execute", "run_cell", "answer_cell", "edit"})


class ObservedCall:
    """One call, from now until ``end``."""

    def __init__(self, operation: str, container_id: str | None) -> None:
        self._operation = operation
        self._began = time.perf_counter()
        self._span = tracing.start(f"host {operation}", container_id=container_id, operation=operation)
        self._began_ns = time.time_ns()
        self.timing: dict[str, Any] = {}
        """What the daemon's last frame says of its time (``host.timing``)."""
        self.finished: Finished | None = None
        """How a command or a cell ended, of a call that has come so far."""

    def end(self, error: BaseException | None) -> None:
        """It has ended, with an error or without."""
        seconds = time.perf_counter() - self._began
        metrics.HOST_CALL_SECONDS.labels(self._operation).observe(seconds)
        if isinstance(error, Exception):
            metrics.HOST_REFUSALS.labels(self._operation, type(error).__name__).inc()
        how = self.timing.get("how", "running")
        phases = self.timing.get("phases", ())
        for phase, took in phases:
            if phase == "wait":
                metrics.CONTAINER_WAIT_SECONDS.observe(took)
            elif phase == "start" and how in _STARTS:
                metrics.CONTAINER_START_SECONDS.labels(how).observe(took)
                if how != "restored":
                    metrics.POOL_REQUESTS.labels("hit" if how == "pool" else "miss").inc()
        if self.finished is not None:
            _count(self.finished)
        if self._span is not NOT_TRACED:
            self._trace(how, phases, error)

    def _trace(self, how: str, phases: list[tuple[str, float]], error: BaseException | None) -> None:
        """The daemon's span, the phases in it, and the guest's, by the daemon's word and by the guest's own."""
        ended_ns = time.time_ns()
        self._span.set(sandbox=how)
        host = self._span.child(self._operation, "host", self._began_ns)
        at = self._began_ns
        for phase, took in phases:
            # The daemon's clock runs at our pace, but what it says must not lead out of the call.
            until = min(at + int(took * 1e9), ended_ns)
            part = host.child(_PHASES.get(phase, "other"), "host", at)
            if phase == "start":
                part.set(sandbox=how)
            if phase == "run" and self._operation in _OF_GUESTS:
                self._trace_guest(part, at, until)
            part.end(until)
            at = until
        host.end(at if phases else ended_ns)
        if error is not None:
            self._span.failed(type(error).__name__)
        self._span.end(ended_ns)

    def _trace_guest(self, run: tracing.Span, began_ns: int, until_ns: int) -> None:
        guest = run.child(self._operation, "guest", began_ns)
        finished = self.finished
        if finished is not None:
            # A guest can say what it likes of its time, so it is kept to what the daemon has measured.
            until_ns = min(until_ns, began_ns + int(min(finished.duration_seconds, 1e6) * 1e9))
            guest.set(
                exit_code=finished.return_code,
                timed_out=finished.timed_out,
                truncated=finished.truncated,
                files=len(finished.files),
                cpu_seconds=finished.cpu_seconds,
                peak_memory_bytes=finished.peak_memory_bytes,
                written_bytes=finished.written_bytes,
            )
        guest.end(until_ns)


def _count(finished: Finished) -> None:
    for limit in finished.limits:
        metrics.LIMITS_REACHED.labels(limit).inc()
    if finished.timed_out:
        metrics.LIMITS_REACHED.labels("time").inc()
    if finished.truncated:
        metrics.LIMITS_REACHED.labels("output").inc()
    if finished.cpu_seconds is not None:
        metrics.SANDBOX_CPU_SECONDS.inc(finished.cpu_seconds)
    if finished.written_bytes is not None:
        metrics.SANDBOX_WRITTEN_BYTES.inc(finished.written_bytes)
