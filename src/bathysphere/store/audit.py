"""The audit: what was done in each container, by whom, and how it ended. Written once, changed never.

Triggers of the database refuse every change of a record, and its removal as long as its container's row is there;
that row goes only when its container has been deleted (``store.containers.forget``).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import bindparam, func, insert, select, update

from bathysphere.store.database import Database
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import Base, ContainerCallRow, ContainerRow

Action = Literal[
    "create", "fork", "bash", "python", "view", "create_file", "str_replace", "place", "upload", "download", "delete",
    "expire", "cell", "resume", "tool_call", "tool_answer", "skills",
]  # fmt: skip
"""``view``, ``create_file`` and ``str_replace`` are the editor's; ``place`` brings a file of the Files API.
``skills`` gives the container other skills than it had; to give it the same again is no call.

A ``cell`` is Python for the interpreter; each time its tools have answered it goes on, a ``resume``. Their durations
are those in which it ran. In between stand the calls that it made (``tool_call``) and what they were answered."""

CODE: Final[frozenset[Action]] = frozenset(("bash", "python", "cell", "tool_call", "tool_answer"))
"""Actions whose subject is what a model or a client wrote, and not a path."""

Outcome = Literal["finished", "refused", "failed", "cancelled"]
"""``finished``: it ran to its end, whatever its exit code. ``refused``: the container or its programs would not have
it (no such file, disk full). ``failed``: it could not be carried out. ``cancelled``: the caller went away."""

SUBJECT_BYTES: Final = 4096
"""Bytes of a command that are kept; its length and hash are those of all of it."""

_ERROR_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class ProducedFile:
    """A file that a call produced."""

    id: str
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Call:
    """One record. ``subject`` is the command's text or the path; ``api_key_id`` is None for the operator.

    What the system could not tell is None. ``number`` rises with each record, and is 0 before it is written.
    """

    container_id: str
    workspace_id: str
    api_key_id: str | None
    request_id: str | None
    started_at: datetime
    action: Action
    subject: str | None
    subject_bytes: int
    subject_sha256: str
    outcome: Outcome
    error: str | None = None
    exit_code: int | None = None
    timed_out: bool = False
    duration_seconds: float = 0.0
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    written_bytes: int | None = None
    files: tuple[ProducedFile, ...] = ()
    number: int = field(default=0, compare=False)


_COLUMNS: Final = tuple(column.name for column in fields(Call) if column.name != "number")
_INSERT: Final = Prepared(insert(Base.metadata.tables[ContainerCallRow.__tablename__]), _COLUMNS)
_USED: Final = Prepared(
    update(Base.metadata.tables[ContainerRow.__tablename__])
    .where(ContainerRow.id == bindparam("container"), ContainerRow.last_used_at < bindparam("moment"))
    .values(last_used_at=bindparam("moment"))
)


def subject_of(text: str, keep: bool = True) -> tuple[str | None, int, str]:
    """A command's or path's text as it is recorded, its length in bytes, and its SHA-256 in hexadecimal.

    Without ``keep`` the text itself is left out.
    """
    data = text.encode("utf-8", "surrogatepass")
    kept = data[:SUBJECT_BYTES].decode("utf-8", "replace" if len(data) <= SUBJECT_BYTES else "ignore")
    return kept if keep else None, len(data), hashlib.sha256(data).hexdigest()


async def append(database: Database, calls: Iterable[Call]) -> list[Call]:
    """Write records, in one transaction; otherwise as ``write``. Raises DatabaseFull: then none was written."""
    written = list(calls)
    return await database.transaction(lambda connection: write(connection, written)) if written else []


def write(connection: sqlite3.Connection, calls: Sequence[Call]) -> list[Call]:
    """Write records, in their order, within a transaction; those whose container is not known are returned.

    The containers were last used when their latest call began; their expiry stays, as that counts from creation.
    """
    unknown: list[Call] = []
    connection.execute("SAVEPOINT records")
    try:
        _INSERT.each(connection, [_values(call) for call in calls])
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO records")
        for call in calls:
            try:
                _INSERT.once(connection, _values(call))
            except sqlite3.IntegrityError:
                unknown.append(call)
    connection.execute("RELEASE records")
    uses = _last_uses(call for call in calls if call not in unknown)
    _USED.each(connection, [{"container": container, "moment": moment} for container, moment in uses.items()])
    return unknown


async def latest(
    database: Database, container_id: str, limit: int, before: int | None = None, workspace_id: str | None = None
) -> Sequence[Call]:
    """The newest records of a container, newest first; ``before`` is the number from which to go on.

    With ``workspace_id`` only those of that workspace.
    """
    query = select(ContainerCallRow).where(ContainerCallRow.container_id == container_id)
    if before is not None:
        query = query.where(ContainerCallRow.number < before)
    if workspace_id is not None:
        query = query.where(ContainerCallRow.workspace_id == workspace_id)
    async with database.reading() as session:
        rows = await session.scalars(query.order_by(ContainerCallRow.number.desc()).limit(limit))
        return [_call(row) for row in rows]


async def counts(database: Database, container_ids: Iterable[str]) -> dict[str, int]:
    """How many records each of the containers has."""
    async with database.reading() as session:
        rows = await session.execute(
            select(ContainerCallRow.container_id, func.count())
            .where(ContainerCallRow.container_id.in_(list(container_ids)))
            .group_by(ContainerCallRow.container_id)
        )
        return {container_id: count for container_id, count in rows}  # noqa: C416 - rows are not plain pairs to the types


def operator_call(container_id: str, workspace_id: str, action: Action, now: datetime | None = None) -> Call:
    """The record of what the operator or the server itself did."""
    subject, length, digest = subject_of("")
    return Call(
        container_id=container_id,
        workspace_id=workspace_id,
        api_key_id=None,
        request_id=None,
        started_at=now or datetime.now(UTC),
        action=action,
        subject=subject,
        subject_bytes=length,
        subject_sha256=digest,
        outcome="finished",
    )


def _last_uses(calls: Iterable[Call]) -> dict[str, datetime]:
    uses: dict[str, datetime] = {}
    for call in calls:
        if call.action != "expire":
            uses[call.container_id] = max(call.started_at, uses.get(call.container_id, call.started_at))
    return uses


def _values(call: Call) -> dict[str, Any]:
    values = {name: getattr(call, name) for name in _COLUMNS}
    values["files"] = [{"id": file.id, "name": file.name, "size_bytes": file.size_bytes} for file in call.files]
    values["error"] = None if call.error is None else _printable(call.error[:_ERROR_CHARACTERS])
    return values


def _printable(text: str) -> str:
    """Without halves of characters, which no database takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _call(row: ContainerCallRow) -> Call:
    values = {name: getattr(row, name) for name in Call.__dataclass_fields__ if name != "files"}
    return Call(**values, files=tuple(ProducedFile(**file) for file in row.files))
