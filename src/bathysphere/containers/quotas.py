"""What organisations, workspaces and keys may use: compared with the books at each step, so a change holds at once.

Requests, execution hours and dollars are those of a calendar month in UTC. A call that has begun is finished, so what
runs at the same time may go a little beyond a quota; nothing new begins.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import and_, bindparam, func, select

from bathysphere.containers.host import HostError
from bathysphere.containers.recording import Actor
from bathysphere.metering.tariff import cents
from bathysphere.store.database import Database
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import ContainerRow, MonthlyTotalRow, QuotaRow, WorkspaceRow
from bathysphere.telemetry import metrics
from bathysphere.wire.errors import RateLimited

_log = logging.getLogger(__name__)

WARN_AT: Final = 0.8
"""The part of a quota from which on answers carry a warning."""

MONTHLY_CODE: Final = "enforced_spend_limit_reached"
"""The ``error_code`` of a 429 for monthly limits; SDKs from 2.5 on have a class for it."""

_UNSET: Final = "-"
_ROOM_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.1

Monthly = Literal["requests", "execution_hours", "dollars"]
_WORDS: Final = {
    "requests": "requests a month",
    "execution_hours": "hours of execution a month",
    "dollars": "dollars a month",
}

_STANDING: Final = Prepared(
    select(
        QuotaRow.subject_id,
        QuotaRow.requests,
        QuotaRow.execution_hours,
        QuotaRow.dollars,
        QuotaRow.containers,
        QuotaRow.concurrent_containers,
        MonthlyTotalRow.requests.label("used_requests"),
        MonthlyTotalRow.execution_seconds,
        MonthlyTotalRow.microdollar_seconds,
    )
    .outerjoin(
        MonthlyTotalRow,
        and_(MonthlyTotalRow.subject_id == QuotaRow.subject_id, MonthlyTotalRow.month == bindparam("month")),
    )
    .where(QuotaRow.subject_id.in_([bindparam("organization"), bindparam("workspace"), bindparam("key")]))
)
_ORGANIZATION: Final = Prepared(
    select(WorkspaceRow.organization_id).where(WorkspaceRow.id == bindparam("workspace_id"))
)


def _living(subject: str) -> Prepared:
    columns = {"key": ContainerRow.api_key_id, "workspace": ContainerRow.workspace_id}
    query = select(func.count().label("living")).select_from(ContainerRow)
    if subject == "key":
        # There is an index by workspace, and none by key.
        query = query.where(ContainerRow.workspace_id == bindparam("workspace"))
    if subject == "organization":
        query = query.join(WorkspaceRow, WorkspaceRow.id == ContainerRow.workspace_id)
        columns["organization"] = WorkspaceRow.organization_id
    return Prepared(
        query.where(
            columns[subject] == bindparam("subject"),
            ContainerRow.deleted_at.is_(None),
            ContainerRow.lost_at.is_(None),
            ContainerRow.expires_at > bindparam("now", type_=ContainerRow.expires_at.type),
        )
    )


_LIVING: Final = {subject: _living(subject) for subject in ("organization", "workspace", "key")}
_KNOWN: Final = Prepared(select(ContainerRow.id).where(ContainerRow.id == bindparam("container_id")))


class QuotaReached(HostError):
    """A quota has been reached; the message says which, whose, and what to do."""

    def __init__(self, message: str, subject_id: str, quota: str, seconds: float | None = None) -> None:
        """``seconds``: after which there may be room, where that is known."""
        super().__init__(message)
        self.quota = quota
        self.seconds = seconds
        metrics.QUOTA_REFUSALS.labels(_SUBJECTS[subject_id.partition("_")[0]][0], quota).inc()


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of a monthly quota has been used."""

    subject_id: str
    quota: Monthly
    used: float
    limit: float

    @property
    def reached(self) -> bool:
        """Whether nothing more may begin."""
        return self.used >= self.limit

    def __str__(self) -> str:
        whose = f"this {_kind(self.subject_id)} ({self.subject_id})"
        return f"{self.used:,.6g} of {self.limit:,.6g} {_WORDS[self.quota]} of {whose}"


class Quotas:
    """See the module. One per server; used in its event loop only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._organizations: dict[str, str] = {}
        self._unwritten: Counter[str] = Counter()
        """Requests that have been let in and are not in the books yet, by subject."""
        self._at_work: dict[str, Counter[str]] = {}
        """Containers in which something runs, by subject."""
        self._made: dict[str, set[str]] = {}
        """Containers that are being made, by subject."""
        self._of_batches: Counter[str] = Counter()
        """Requests of batches that are being carried out, by subject."""
        self._warned: set[tuple[str, str, str]] = set()

    def standings(self, actor: Actor) -> list[Standing]:
        """The monthly quotas of an actor's organisation, workspace and key; mostly there are none."""
        found = []
        for row in self._rows(actor):
            requests = (row.used_requests or 0) + self._unwritten[row.subject_id]
            used: dict[Monthly, float] = {
                "requests": requests,
                "execution_hours": (row.execution_seconds or 0) / 3600,
                "dollars": float(cents(row.microdollar_seconds or 0) / 100),
            }
            for quota, amount in used.items():
                limit = getattr(row, quota)
                if limit is not None:
                    found.append(Standing(row.subject_id, quota, amount, limit))
        return found

    def admit(self, actor: Actor, *, can_run_code: bool) -> None:
        """Let a request in; it counts from now on, and has to be in the books when it has ended.

        Raises RateLimited when a quota has been reached: of requests, or what code would use of the others.
        """
        for standing in self.standings(actor):
            if standing.reached and (standing.quota == "requests" or (can_run_code and not actor.free_of_charge)):
                raise refusal(_reached(standing))
        self._unwritten.update(self._subjects(actor))

    def written(self, workspace_id: str, api_key_id: str | None) -> None:
        """A request that was let in is in the books now."""
        for subject in self._subjects(Actor(workspace_id, api_key_id)):
            self._unwritten[subject] -= 1
            if self._unwritten[subject] <= 0:
                del self._unwritten[subject]

    def warning(self, actor: Actor) -> str | None:
        """What is nearly used up, or is; the operator is told too, once a month for each."""
        near = [standing for standing in self.standings(actor) if standing.used >= WARN_AT * standing.limit]
        for standing in near:
            told = (standing.subject_id, standing.quota, f"{datetime.now(UTC):%Y-%m}")
            if told not in self._warned:
                self._warned.add(told)
                _log.warning("quota: %s", standing)
        return "; ".join(map(str, near)) or None

    def check_execution(self, actor: Actor, container_id: str) -> None:
        """Raises QuotaReached when nothing more may be executed in this container just now."""
        full = self._full(actor, container_id)
        if full is not None:
            raise QuotaReached(
                f"{full.concurrent_containers} containers of this {_kind(full.subject_id)} ({full.subject_id}) are at "
                "work, as many as its quota allows at the same time. Try again when one of them has finished.",
                full.subject_id,
                "concurrent_containers",
                _ROOM_SECONDS,
            )
        if not actor.free_of_charge:
            for standing in self.standings(actor):
                if standing.reached and standing.quota != "requests":
                    raise _reached(standing)

    async def room_at_work(self, actor: Actor, container_id: str) -> None:
        """Wait until so few containers are at work that this one may be too: for what has time, as batches have."""
        while self._full(actor, container_id) is not None:  # noqa: ASYNC110 - other processes raise quotas too
            await asyncio.sleep(_LOOK_SECONDS)

    def crowded(self, actor: Actor) -> bool:
        """Whether as many requests of batches are carried out as containers may be at work.

        A further one would wait for room, in the place of somebody else's that has it.
        """
        return any(
            row.concurrent_containers is not None and self._of_batches[row.subject_id] >= row.concurrent_containers
            for row in self._rows(actor)
        )

    @contextmanager
    def of_batch(self, actor: Actor) -> Iterator[None]:
        """A request of a batch is carried out inside."""
        subjects = self._subjects(actor)
        self._of_batches.update(subjects)
        try:
            yield
        finally:
            for subject in subjects:
                self._of_batches[subject] -= 1
                if not self._of_batches[subject]:
                    del self._of_batches[subject]

    def _full(self, actor: Actor, container_id: str) -> Any | None:
        """The row of the quota that has no room for another container at work."""
        for row in self._rows(actor):
            at_work = self._at_work.get(row.subject_id, Counter())
            most = row.concurrent_containers
            if most is not None and container_id not in at_work and len(at_work) >= most:
                return row
        return None

    @contextmanager
    def at_work(self, actor: Actor, container_id: str) -> Iterator[None]:
        """Something runs in the container inside."""
        subjects = self._subjects(actor)
        for subject in subjects:
            self._at_work.setdefault(subject, Counter())[container_id] += 1
        try:
            yield
        finally:
            for subject in subjects:
                running = self._at_work[subject]
                running[container_id] -= 1
                if not running[container_id]:
                    del running[container_id]
                if not running:
                    del self._at_work[subject]

    @contextmanager
    def making(self, actor: Actor, container_id: str) -> Iterator[None]:
        """A container is made inside. Raises QuotaReached when there may be no further one."""
        self._check_container(actor)
        subjects = self._subjects(actor)
        for subject in subjects:
            self._made.setdefault(subject, set()).add(container_id)
        try:
            yield
        finally:
            for subject in subjects:
                self._made[subject].discard(container_id)
                if not self._made[subject]:
                    del self._made[subject]

    def _check_container(self, actor: Actor) -> None:
        for row in self._rows(actor):
            if row.containers is None:
                continue
            kind = _SUBJECTS[row.subject_id.partition("_")[0]][0]
            found = self._database.one(
                _LIVING[kind], subject=row.subject_id, workspace=actor.workspace_id, now=datetime.now(UTC)
            )
            living = 0 if found is None else found.living
            # Those that are made at the same time count, each once.
            made = self._made.get(row.subject_id, ())
            living += sum(self._database.one(_KNOWN, container_id=container_id) is None for container_id in made)
            if living >= row.containers:
                raise QuotaReached(
                    f"This {_kind(row.subject_id)} ({row.subject_id}) has {living} containers, and its quota "
                    f"allows {row.containers}. Delete some, name one of them in `container`, or have the quota raised.",
                    row.subject_id,
                    "containers",
                )

    def _rows(self, actor: Actor) -> list[Any]:
        organization, workspace, *key = self._subjects(actor)
        return self._database.all(
            _STANDING,
            organization=organization,
            workspace=workspace,
            key=key[0] if key else _UNSET,
            month=f"{datetime.now(UTC):%Y-%m}",
        )

    def _subjects(self, actor: Actor) -> tuple[str, ...]:
        organization = self._organizations.get(actor.workspace_id)
        if organization is None:
            found = self._database.one(_ORGANIZATION, workspace_id=actor.workspace_id)
            # What belongs to nobody has no quotas either.
            organization = _UNSET if found is None else found.organization_id
            self._organizations[actor.workspace_id] = organization
        subjects = (organization, actor.workspace_id)
        return subjects if actor.api_key_id is None else (*subjects, actor.api_key_id)


_SUBJECTS: Final = {
    "org": ("organization", "organization"),
    "wrkspc": ("workspace", "workspace"),
    "apikey": ("key", "API key"),
}


def _kind(subject_id: str) -> str:
    return _SUBJECTS[subject_id.partition("_")[0]][1]


def _reached(standing: Standing) -> QuotaReached:
    now = datetime.now(UTC)
    anew = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return QuotaReached(
        f"The quota has been reached: {standing} are used. It begins anew on {anew:%Y-%m-%d} (UTC); until then, have "
        "it raised by whoever runs this server.",
        standing.subject_id,
        standing.quota,
        (anew - now).total_seconds(),
    )


def refusal(error: QuotaReached) -> RateLimited:
    """The request's failure: for a monthly quota that of the real API's monthly limits.

    SDKs try a 429 again by themselves; they are told not to where that cannot help.
    """
    return RateLimited(
        str(error),
        error_code=MONTHLY_CODE if error.quota in _WORDS else None,
        retry_after_seconds=error.seconds,
        should_retry=None if error.quota == "concurrent_containers" else False,
    )
