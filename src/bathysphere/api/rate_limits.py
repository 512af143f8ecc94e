"""Rate limits of a key and of its workspace: requests per minute, turns and containers at the same time (WIRE j).

They are counted in this process. A request is charged to its key and to its workspace; the tighter of the two decides,
and is the one that the headers tell.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from bathysphere.containers.host import TooManySandboxes
from bathysphere.containers.recording import Actor
from bathysphere.settings import RateLimitSettings
from bathysphere.telemetry import metrics
from bathysphere.wire.errors import RateLimited

_MINUTE: Final = 60.0
_ROUNDING: Final = 1e-6
_TURN_RETRY_SECONDS: Final = 2.0
"""Nobody knows when a turn ends; SDKs wait longer from try to try by themselves."""

Scope = Literal["key", "workspace"]


@dataclass(frozen=True, slots=True)
class _Subject:
    scope: Scope
    id: str

    def __str__(self) -> str:
        return f"this {'API key' if self.scope == 'key' else 'workspace'}"


class _Bucket:
    """A token bucket that holds a minute's requests and fills evenly.

    It is kept as the time at which it will be full again.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._interval = _MINUTE / per_minute
        self._full_at = 0.0

    def wait(self, now: float) -> float:
        """Seconds until there is a token."""
        wait = max(self._full_at, now) + self._interval - _MINUTE - now
        return wait if wait > _ROUNDING else 0.0

    def take(self, now: float) -> None:
        """Take one; there is one."""
        self._full_at = max(self._full_at, now) + self._interval

    def left(self, now: float) -> int:
        """Whole tokens that are there."""
        return max(0, int((_MINUTE - max(0.0, self._full_at - now)) / self._interval + _ROUNDING))

    def full_in(self, now: float) -> float:
        """Seconds until it is full."""
        return max(0.0, self._full_at - now)


class TurnSlot:
    """A turn among those that run, which may use one container."""

    def __init__(self, limits: RateLimits, subjects: tuple[_Subject, ...]) -> None:
        self._limits = limits
        self._subjects = subjects
        self._container: str | None = None

    def use(self, container_id: str | None) -> None:
        """The turn is about to run code in this container, or in a new one.

        Raises TooManySandboxes, which is the tool error ``too_many_requests``, when the limit has been reached.
        """
        if self._container is None:
            name = container_id or f"new container of {id(self)}"
            self._limits.take_container(self._subjects, name)
            self._container = name

    def release(self) -> None:
        """The turn has ended."""
        if self._container is not None:
            self._limits.release_container(self._subjects, self._container)


class RateLimits:
    """See the module. One per server; used in its event loop only. ``clock`` gives seconds."""

    def __init__(self, settings: RateLimitSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests = {"key": settings.key_requests, "workspace": settings.workspace_requests}
        self._turns = {"key": settings.key_turns, "workspace": settings.workspace_turns}
        self._containers = {"key": settings.key_containers, "workspace": settings.workspace_containers}
        self._buckets: dict[_Subject, _Bucket] = {}
        self._turns_now: Counter[_Subject] = Counter()
        self._containers_now: dict[_Subject, Counter[str]] = {}

    def request(self, actor: Actor, headers: dict[str, str]) -> None:
        """Charge a request, and put the ``anthropic-ratelimit-requests-*`` headers, if there is a limit.

        Raises RateLimited with the time after which there is room; such a request is not charged.
        """
        now = self._clock()
        buckets = [(subject, bucket) for subject in _subjects(actor) if (bucket := self._bucket(subject)) is not None]
        if not buckets:
            return
        wait, subject, refusing = max(((bucket.wait(now), subject, bucket) for subject, bucket in buckets), key=_first)
        if wait > 0:
            headers.update(self._told(refusing, now))
            metrics.DENIALS.labels("requests_per_minute").inc()
            raise RateLimited(
                f"This request would exceed the rate limit of {refusing.per_minute} requests per minute of {subject}. "
                f"There is room for the next one in {wait:.1f} seconds.",
                retry_after_seconds=wait,
            )
        for _, bucket in buckets:
            bucket.take(now)
        headers.update(self._told(min((bucket for _, bucket in buckets), key=lambda bucket: bucket.left(now)), now))

    def _bucket(self, subject: _Subject) -> _Bucket | None:
        limit = self._requests[subject.scope]
        if limit is None:
            return None
        return self._buckets.setdefault(subject, _Bucket(limit))

    def _told(self, bucket: _Bucket, now: float) -> dict[str, str]:
        reset = datetime.now(UTC) + timedelta(seconds=bucket.full_in(now))
        return {
            "anthropic-ratelimit-requests-limit": str(bucket.per_minute),
            "anthropic-ratelimit-requests-remaining": str(bucket.left(now)),
            "anthropic-ratelimit-requests-reset": reset.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    @contextmanager
    def turn(self, actor: Actor) -> Iterator[TurnSlot]:
        """A turn runs inside. Raises RateLimited when as many run as may."""
        subjects = _subjects(actor)
        for subject in subjects:
            limit = self._turns[subject.scope]
            if limit is not None and self._turns_now[subject] >= limit:
                metrics.DENIALS.labels("concurrent_turns").inc()
                raise RateLimited(
                    f"The number of concurrent turns has reached the limit of {subject}, {limit}. "
                    "Try again when one of them has ended.",
                    retry_after_seconds=_TURN_RETRY_SECONDS,
                )
        self._turns_now.update(subjects)
        slot = TurnSlot(self, subjects)
        try:
            yield slot
        finally:
            slot.release()
            for subject in subjects:
                self._turns_now[subject] -= 1
                if not self._turns_now[subject]:
                    del self._turns_now[subject]

    def take_container(self, subjects: tuple[_Subject, ...], name: str) -> None:
        """Count a container as used, once more. Raises TooManySandboxes."""
        for subject in subjects:
            limit = self._containers[subject.scope]
            used = self._containers_now.get(subject, Counter())
            if limit is not None and name not in used and len(used) >= limit:
                metrics.DENIALS.labels("concurrent_containers").inc()
                raise TooManySandboxes(f"{subject} ({subject.id}) uses {limit} containers at once, as many as it may")
        for subject in subjects:
            self._containers_now.setdefault(subject, Counter())[name] += 1

    def release_container(self, subjects: tuple[_Subject, ...], name: str) -> None:
        """Count it as used once less."""
        for subject in subjects:
            used = self._containers_now[subject]
            used[name] -= 1
            if not used[name]:
                del used[name]
            if not used:
                del self._containers_now[subject]


def _subjects(actor: Actor) -> tuple[_Subject, ...]:
    workspace = _Subject("workspace", actor.workspace_id)
    return (workspace,) if actor.api_key_id is None else (_Subject("key", actor.api_key_id), workspace)


def _first(item: tuple[float, _Subject, _Bucket]) -> float:
    return item[0]
