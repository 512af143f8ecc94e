"""Every metric that the server counts, each one declaration (docs/observing.md).

Labels are bounded: names of our own, route templates, ``match`` patterns of the configuration, documented error
codes. Never what a client, a model or a container wrote.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from bathysphere import __version__

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the number of series, and nobody reads them

REGISTRY: Final = CollectorRegistry(auto_describe=True)
"""Ours alone: what libraries register by themselves is not shown."""

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_QUICK: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Seconds, of what takes from half a millisecond to a command's time limit."""

_SLOW: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Seconds, of what a model does."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric as the documentation names it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


DECLARED: Final[list[Declared]] = []


def counter(name: str, meaning: str, labels: Iterable[str] = ()) -> Counter:
    """Declare ``bathysphere_<name>``, which only grows; ``name`` ends in ``_total``."""
    full = _declare(name, "counter", meaning, labels)
    return Counter(full, meaning, tuple(labels), registry=REGISTRY)


def gauge(name: str, meaning: str, labels: Iterable[str] = ()) -> Gauge:
    """Declare ``bathysphere_<name>``, which rises and falls."""
    full = _declare(name, "gauge", meaning, labels)
    return Gauge(full, meaning, tuple(labels), registry=REGISTRY)


def histogram(name: str, meaning: str, labels: Iterable[str] = (), buckets: tuple[float, ...] = _QUICK) -> Histogram:
    """Declare ``bathysphere_<name>``, a distribution; seconds unless the name says otherwise."""
    full = _declare(name, "histogram", meaning, labels)
    return Histogram(full, meaning, tuple(labels), registry=REGISTRY, buckets=buckets)


def _declare(name: str, kind: str, meaning: str, labels: Iterable[str]) -> str:
    full = f"bathysphere_{name}"
    DECLARED.append(Declared(full, kind, tuple(labels), meaning))
    return full


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


# Requests

REQUEST_SECONDS = histogram(
    "request_seconds", "Time from a request to the end of its answer", ("method", "route", "status")
)
REQUESTS_RUNNING = gauge("requests_running", "Requests that are being answered")
DENIALS = counter("denials_total", "Requests and calls that were refused, by the reason", ("reason",))
STREAM_ERRORS = counter("stream_errors_total", "Streams that ended with an error event, by its type", ("error",))
RETRIES_ATTACHED = counter(
    "retries_attached_total", "Requests that were answered by the turn of an earlier try of theirs", ("turn",)
)

# Turns

TURNS_RUNNING = gauge("turns_running", "Turns that run, of requests and of batches", ("source",))
TURN_SECONDS = histogram(
    "turn_seconds", "Time of a whole turn, by its stop reason or the type of its error", ("source", "end"), _SLOW
)
TOOL_CALL_SECONDS = histogram(
    "tool_call_seconds",
    "Time of a sub-tool's call: `completed`, `nonzero_exit`, `waiting` for a client's tool, or the error code",
    ("tool", "outcome"),
)

# Models

MODEL_FIRST_EVENT_SECONDS = histogram(
    "model_first_event_seconds", "Time to a sampling's first event, with what was tried again", ("backend", "match"),
    _SLOW,
)  # fmt: skip
MODEL_SECONDS = histogram(
    "model_seconds", "Time of a whole sampling: `completed`, `closed` early, or the type of its error",
    ("backend", "match", "outcome"), _SLOW,
)  # fmt: skip
MODEL_ERRORS = counter("model_errors_total", "Samplings that failed, by the type of the error", ("backend", "match", "error"))  # fmt: skip  # noqa: E501
MODEL_RETRIES = counter("model_retries_total", "Tries of a sampling beyond its first, by the error before", ("error",))
MODEL_TOKENS = counter("model_tokens_total", "Tokens as the upstream reports them", ("backend", "match", "kind"))

# Containers

HOST_CALL_SECONDS = histogram("host_call_seconds", "Time of a call to the host daemon", ("operation",))
HOST_REFUSALS = counter(
    "host_refusals_total", "Calls that the host daemon could not carry out, by the error", ("operation", "error")
)
CONTAINER_WAIT_SECONDS = histogram(
    "container_wait_seconds", "Time that a call waited for earlier calls to its container"
)
CONTAINER_START_SECONDS = histogram(
    "container_start_seconds",
    "Time to a running sandbox: from the `pool`, `cold` for a new container, `restored` for a dormant one",
    ("how",),
)
POOL_REQUESTS = counter(
    "pool_requests_total", "New containers: `hit`, served by the pool, or `miss`", ("outcome",)
)  # fmt: skip
LIMITS_REACHED = counter(
    "limits_reached_total", "Commands and cells that reached a limit of their container", ("limit",)
)
SANDBOX_CPU_SECONDS = counter("sandbox_cpu_seconds_total", "Processor time of commands and cells, where it is counted")
SANDBOX_WRITTEN_BYTES = counter("sandbox_written_bytes_total", "Bytes that commands and cells wrote to their disks")

HOST_UP = gauge("host_up", "1 when the host daemon answers")
CONTAINERS = gauge(
    "containers",
    "Containers with a disk: `busy`, `waiting` for a client's tool, `idle`, `suspended` (dormant) or `broken`",
    ("state",),
)
CONTAINERS_KEPT = gauge(
    "containers_kept", "Containers in the database: `usable`, `expired` with their disk kept, `lost`", ("state",)
)
SANDBOXES = gauge("sandboxes", "Sandboxes that run, start or end, with those of the pool")
SANDBOXES_LIMIT = gauge("sandboxes_limit", "host.max_sandboxes")
POOL_READY = gauge("pool_ready", "Sandboxes that were started ahead and wait for a container")
POOL_SIZE = gauge("pool_size", "host.pool")
SANDBOXES_MEMORY_BYTES = gauge("sandboxes_memory_bytes", "Memory of all sandboxes together, where it is counted")
HOST_MEMORY_BYTES = gauge("host_memory_bytes", "Resident memory of the host daemon")

# Batches

BATCH_REQUESTS = gauge(
    "batch_requests", "Requests of batches: `queued`, or in a server's hands (`claimed`, `running`)", ("state",)
)
BATCHES_OPEN = gauge("batches_open", "Batches that have not ended")
BATCH_RESULTS = counter("batch_results_total", "Requests of batches that this server has ended", ("result",))

# Metering

EXECUTION_SECONDS = counter(
    "execution_seconds_total",
    "Seconds of containers that were booked: `free`, or `paid` beyond the free hours",
    ("kind",),
)
EXECUTION_DOLLARS = counter("execution_dollars_total", "What the booked seconds cost")
METERED_REQUESTS = counter("metered_requests_total", "Turns that are in the books, by how they ended", ("outcome",))
QUOTA_REFUSALS = counter(
    "quota_refusals_total", "What was refused because a quota had been reached", ("subject", "quota")
)

# The machine and the server

DISK_BYTES = gauge(
    "disk_bytes", "The data directory's file system: `total`, `used`, `free` for the server, `reserve`", ("kind",)
)
READY = gauge("ready", "1 when a check of /ready holds", ("check",))
DRAINING = gauge("draining", "1 once the server has been told to end")

_BUILD = Info("bathysphere_build", "The running version", registry=REGISTRY)
DECLARED.append(Declared("bathysphere_build_info", "gauge", ("version", "python"), "1; the running version"))
_BUILD.info({"version": __version__, "python": platform.python_version()})
ProcessCollector(registry=REGISTRY)
