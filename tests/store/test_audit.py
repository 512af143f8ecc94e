"""The record of calls: written once, never changed, gone only with its container."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from bathysphere.store import audit, containers
from bathysphere.store.audit import Call, ProducedFile
from bathysphere.store.database import Database
from bathysphere.store.workspaces import Workspace

NOW = datetime(2026, 11, 22, tzinfo=UTC)
MONTH = timedelta(days=30)


def call_in(container: containers.Container, command: str = "echo hi") -> Call:
    subject, length, digest = audit.subject_of(command)
    return Call(
        container_id=container.id,
        workspace_id=container.workspace_id,
        api_key_id="apikey_1",
        request_id="req_1",
        started_at=NOW,
        action="bash",
        subject=subject,
        subject_bytes=length,
        subject_sha256=digest,
        outcome="finished",
        exit_code=3,
        timed_out=True,
        duration_seconds=1.25,
        cpu_seconds=0.5,
        peak_memory_bytes=1 << 40,
        written_bytes=None,
        files=(ProducedFile("file_1", "chart.png", 1 << 33), ProducedFile("file_2", "ümlaut.csv", 0)),
    )


async def test_what_is_written_is_what_is_read(database: Database, workspace: Workspace) -> None:
    container = await containers.create(database, workspace.id, MONTH)
    calls = [call_in(container, f"echo {number}") for number in range(5)]
    assert await audit.append(database, calls) == []
    found = await audit.latest(database, container.id, 3)
    assert list(found) == calls[:1:-1], "the newest first"
    assert list(await audit.latest(database, container.id, 3, before=found[-1].number)) == calls[1::-1]
    assert await audit.counts(database, [container.id, "container_unknown"]) == {container.id: 5}


async def test_a_workspace_sees_its_own_records_only(
    database: Database, workspace: Workspace, other_workspace: Workspace
) -> None:
    container = await containers.create(database, workspace.id, MONTH)
    await audit.append(database, [call_in(container)])
    assert await audit.latest(database, container.id, 10, workspace_id=other_workspace.id) == []
    assert len(await audit.latest(database, container.id, 10, workspace_id=workspace.id)) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE container_calls SET exit_code = 0",
        "UPDATE container_calls SET subject = 'harmless' WHERE number = 1",
        "DELETE FROM container_calls",
        "DELETE FROM containers",
        "INSERT OR REPLACE INTO container_calls SELECT * FROM container_calls",
    ],
)
async def test_a_record_cannot_be_changed_or_removed(database: Database, workspace: Workspace, statement: str) -> None:
    container = await containers.create(database, workspace.id, MONTH)
    await audit.append(database, [call_in(container)])
    with pytest.raises(IntegrityError):
        async with database.writing() as session:
            await session.execute(text(statement))
    assert list(await audit.latest(database, container.id, 10)) == [call_in(container)]


async def test_records_go_with_their_container_after_it_was_deleted(database: Database, workspace: Workspace) -> None:
    gone, kept = [await containers.create(database, workspace.id, MONTH, NOW) for _ in range(2)]
    await audit.append(database, [call_in(gone), call_in(kept)])
    await containers.record_placed(database, gone.id, {"file_1": "a.csv"})
    await containers.mark_deleted(database, gone.id, NOW)
    assert await containers.forget(database, NOW) == 0, "not before its time"
    assert len(await audit.latest(database, gone.id, 10)) == 1
    assert await containers.forget(database, NOW + timedelta(microseconds=1)) == 1
    assert await audit.latest(database, gone.id, 10) == []
    assert await containers.find(database, gone.id) is None
    assert len(await audit.latest(database, kept.id, 10)) == 1


async def test_a_number_is_never_given_twice(database: Database, workspace: Workspace) -> None:
    gone, kept = [await containers.create(database, workspace.id, MONTH, NOW) for _ in range(2)]
    await audit.append(database, [call_in(gone)])
    (last,) = await audit.latest(database, gone.id, 1)
    await containers.mark_deleted(database, gone.id, NOW)
    await containers.forget(database, NOW + MONTH)
    await audit.append(database, [call_in(kept)])
    (following,) = await audit.latest(database, kept.id, 1)
    assert following.number > last.number


async def test_one_record_without_a_container_does_not_take_others_along(
    database: Database, workspace: Workspace
) -> None:
    container = await containers.create(database, workspace.id, MONTH)
    stray = call_in(containers.Container("container_x", workspace.id, NOW, NOW, NOW, None))
    assert await audit.append(database, [call_in(container), stray, call_in(container)]) == [stray]
    assert await audit.counts(database, [container.id]) == {container.id: 2}


def test_a_long_command_is_cut_between_characters_and_its_hash_is_of_all_of_it() -> None:
    command = "x" + "é" * 5000
    subject, length, digest = audit.subject_of(command)
    assert subject == "x" + "é" * 2047
    assert length == 10_001
    assert digest == hashlib.sha256(command.encode()).hexdigest()


def test_the_text_can_be_left_out() -> None:
    assert audit.subject_of("secret", keep=False) == (None, 6, hashlib.sha256(b"secret").hexdigest())


@pytest.mark.parametrize("command", ["half \ud800 a character", "a\0b", ""])
async def test_what_is_hardly_text_can_be_recorded(database: Database, workspace: Workspace, command: str) -> None:
    container = await containers.create(database, workspace.id, MONTH)
    assert await audit.append(database, [call_in(container, command)]) == []
    (call,) = await audit.latest(database, container.id, 1)
    assert call.subject_bytes == len(command.encode("utf-8", "surrogatepass"))
