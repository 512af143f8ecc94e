"""Every call is recorded, however it ends, and nobody waits for that."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from bathysphere.api.metered_turn import MeteredTurn
from bathysphere.containers import records as records_module
from bathysphere.containers.container import CommandResult, ForeignCell
from bathysphere.containers.containers import Containers
from bathysphere.containers.host import (
    Cell,
    CellGone,
    CellWaits,
    Command,
    ContainerDeleted,
    DiskFull,
    EditorCommand,
    InterpreterBusy,
    PathNotFound,
    ToolAnswer,
    ToolFunction,
    UnknownContainer,
)
from bathysphere.containers.recording import Actor, Recorder
from bathysphere.containers.records import Records, Written
from bathysphere.settings import Settings
from bathysphere.store import audit
from bathysphere.store.audit import Call
from bathysphere.store.database import DatabaseFull
from bathysphere.store.execution_report import execution_time
from bathysphere.store.usage_report import Stretch
from bathysphere.wire.errors import Overloaded
from bathysphere.wire.message import Usage
from tests.containers.conftest import Parts


async def recorded(parts: Parts, container_id: str) -> Sequence[Call]:
    """The record, oldest first, without the making of the container."""
    await parts.containers.records.flush()
    return list(reversed(await audit.latest(parts.database, container_id, 1000)))[1:]


async def booked_seconds(parts: Parts) -> int:
    await parts.containers.records.flush()
    always = Stretch(0, 2**40, 86_400)
    return sum(day.seconds for day in await execution_time(parts.database, None, always))


async def test_commands_edits_and_files_are_recorded_with_who_and_how(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    await container.run(Command("bash", "echo x > $OUTPUT_DIR/made.txt; exit 9", 60))
    await container.run(Command("python", "while True: pass", 0.3))
    await container.edit(EditorCommand(command="create", path="notes.md", file_text="# ünïcode"))
    await container.edit(EditorCommand(command="view", path="nowhere.md"))

    async def content() -> AsyncIterator[bytes]:
        yield b"abc"

    assert await container.upload("up.bin", content()) == 3
    with pytest.raises(PathNotFound):
        async for _ in container.download("down.bin"):
            pass
    bash, python, create, view, upload, download = await recorded(parts, container.id)
    for call in (bash, python, create, view, upload, download):
        assert (call.workspace_id, call.api_key_id, call.request_id) == (parts.actor.workspace_id, "apikey_1", "req_1")
    assert (bash.action, bash.outcome, bash.exit_code, bash.timed_out) == ("bash", "finished", 9, False)
    assert [(file.name, file.size_bytes) for file in bash.files] == [("made.txt", 2)]
    assert bash.files[0].id.startswith("file_")
    assert (python.action, python.timed_out, python.outcome) == ("python", True, "finished")
    assert python.duration_seconds >= 0.3
    assert python.cpu_seconds is None or python.cpu_seconds > 0
    assert (create.action, create.subject, create.written_bytes) == ("create_file", "notes.md", 11)
    assert (view.action, view.outcome) == ("view", "refused")
    assert (upload.action, upload.subject, upload.written_bytes) == ("upload", "up.bin", 3)
    assert (download.action, download.outcome) == ("download", "refused")


async def test_a_call_that_is_cancelled_is_recorded_as_such(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    running = asyncio.create_task(container.run(Command("bash", "sleep 60", 60)))
    while (await parts.host.list())[0].state != "busy":
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (call,) = await recorded(parts, container.id)
    assert (call.outcome, call.subject, call.exit_code) == ("cancelled", "sleep 60", None)


async def test_a_call_that_fails_is_recorded_with_the_reason(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    await parts.host.delete(container.id)
    with pytest.raises(Exception, match="no container"):
        await container.run(Command("bash", "true", 60))
    (call,) = await recorded(parts, container.id)
    assert call.outcome == "failed"
    assert call.error is not None
    assert call.error.startswith("UnknownContainer: ")


async def test_who_deletes_a_container_in_the_middle_of_a_call_pays_for_what_ran(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    running = asyncio.create_task(container.run(Command("bash", "sleep 60", 60)))
    while (await parts.host.list())[0].state != "busy":
        await asyncio.sleep(0.01)
    await parts.containers.delete(parts.actor, container.id)
    with pytest.raises(ContainerDeleted):
        await running
    assert await booked_seconds(parts) == 300
    with pytest.raises(UnknownContainer):
        await container.run(Command("bash", "true", 60))
    assert await booked_seconds(parts) == 300


async def test_the_text_of_commands_can_be_kept_out(parts: Parts) -> None:
    tables = {"containers": {"record_commands": False}}
    quiet = Containers(parts.database, parts.containers._blobs, parts.host, Settings.model_validate(tables))
    container = await quiet.create(parts.actor)
    await container.run(Command("bash", "echo secret", 60))
    await container.edit(EditorCommand(command="view", path="/tmp"))
    await quiet.close()
    view, bash, _ = await audit.latest(parts.database, container.id, 10)
    assert (bash.subject, bash.subject_sha256) == (None, hashlib.sha256(b"echo secret").hexdigest())
    assert view.subject == "/tmp", "a path is no command"


async def test_closing_writes_what_waits(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    records = Records(parts.database, parts.settings.metering.tariff())
    for number in range(1200):
        records.append(record(container.id, parts.actor, str(number)))
    await records.close()
    calls = await audit.latest(parts.database, container.id, 2000)
    assert [call.subject for call in reversed(calls) if call.action == "bash"] == [str(n) for n in range(1200)]


async def test_a_cancelled_writer_writes_nothing_twice(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    await parts.containers.records.flush()
    records = Records(parts.database, parts.settings.metering.tariff())
    for number in range(50):
        records.append(record(container.id, parts.actor, str(number)))
        flushing = asyncio.create_task(records.flush())
        for _ in range(number % 5):
            await asyncio.sleep(0)
        flushing.cancel()
        await asyncio.wait([flushing])
    await records.close()
    calls = await audit.latest(parts.database, container.id, 200)
    assert [call.subject for call in reversed(calls) if call.action == "bash"] == [str(n) for n in range(50)]


async def test_records_are_written_without_anybody_asking(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    await container.run(Command("bash", "true", 60))
    while len(await audit.latest(parts.database, container.id, 10)) < 2:
        await asyncio.sleep(0.01)


async def test_a_record_of_an_unknown_container_does_not_hold_up_others(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    records = Records(parts.database, parts.settings.metering.tariff())
    for container_id in ("container_nowhere", container.id):
        records.append(record(container_id, parts.actor, "x"))
    await records.close()
    assert "x" in [call.subject for call in await audit.latest(parts.database, container.id, 10)]


async def test_a_turn_that_the_database_does_not_take_does_not_hold_up_others(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    """As one whose upstream reports more tokens than can be: it counts no longer as one that is still to come."""
    written: list[Written] = []
    records = Records(parts.database, parts.settings.metering.tariff(), written.append)
    for tokens in (1, 2**70, 3):
        turn = MeteredTurn(parts.actor, "model", None, records)
        turn.usage = Usage.model_construct(input_tokens=tokens)
        with turn.metered():
            pass
    await records.flush()
    await records.close()
    told = [request for one in written for request in one.requests]
    assert [request.uncached_input_tokens for request in told] == [1, 3]
    assert [request.uncached_input_tokens for one in written for request in one.lost] == [2**70]
    assert str(2**70) in caplog.text


async def test_when_records_cannot_be_written_calls_are_refused_in_the_end(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "MOST_WAITING", 3)
    records = Records(parts.database, parts.settings.metering.tariff())
    container = await parts.containers.create(parts.actor)
    recorder = Recorder(container.id, parts.actor, records)
    async with parts.database._write_lock:  # as long as the disk is full
        for _ in range(3):
            with recorder.call("bash", "x"):
                pass
        ran = False
        with pytest.raises(DiskFull, match="cannot be recorded"), recorder.call("bash", "x"):
            ran = True
        assert not ran
        with pytest.raises(Overloaded, match="cannot be recorded"):
            MeteredTurn(parts.actor, "model", None, records).check()
    await records.flush()
    with recorder.call("bash", "there is room again"):
        ran = True
    assert ran
    await records.close()


def record(container_id: str, actor: Actor, text: str) -> Call:
    call = audit.operator_call(container_id, actor.workspace_id, "bash")
    subject, length, digest = audit.subject_of(text)
    return replace(call, subject=subject, subject_bytes=length, subject_sha256=digest)


async def test_a_full_disk_keeps_nobody_from_looking(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    container = await parts.containers.create(parts.actor)

    def always_full() -> object:
        raise DatabaseFull("The disk of the data directory is full; make room on it.")

    with monkeypatch.context() as patched:
        patched.setattr(parts.database, "writing", always_full)
        opened = await parts.containers.open(parts.actor, container.id)
        assert (await opened.run(Command("bash", "echo usable", 60))).stdout == "usable\n"
        row = await parts.containers.find(parts.actor.workspace_id, container.id)
        await parts.containers.records.settle()
        (seen,) = await parts.containers.overviews([row])
        assert seen.state == "idle"
    (call,) = await recorded(parts, container.id)
    assert call.subject == "echo usable", "it is written when there is room again"


async def test_a_cell_is_recorded_with_its_calls_and_their_answers(parts: Parts) -> None:
    """And over requests: each has a container of its own for the same disk."""
    container = await parts.containers.create(parts.actor)
    source = "open('made.txt', 'w').write('x')\nprint(await ask({'n': 1}))"
    waits = await container.run_cell("srvtoolu_1", Cell(source, 60, (ToolFunction("ask", ("n",)),)))
    assert isinstance(waits, CellWaits)
    (call,) = waits.calls
    assert (call.tool, call.arguments) == ("ask", {"n": 1})
    file_ids: tuple[str, ...] = ()
    for _ in range(2):
        again = await parts.containers.open(parts.actor, container.id)
        assert again.has_cell("srvtoolu_1")
        ended = await again.answer_cell("srvtoolu_1", [ToolAnswer(call.id, "two")])
        assert isinstance(ended, CommandResult)
        assert (ended.stdout, ended.return_code, len(ended.file_ids)) == ("two\n", 0, 1)
        file_ids = ended.file_ids
    record = await recorded(parts, container.id)
    assert [entry.action for entry in record[:4]] == ["cell", "tool_call", "tool_answer", "resume"]
    assert record[0].subject == source
    assert str(record[1].subject).endswith('ask {"n": 1}')
    assert record[3].exit_code == 0
    # The request that came twice names the file of the first answer.
    assert {file.id for entry in record for file in entry.files} == set(file_ids)


async def test_a_cell_waits_in_one_container_alone(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    other = await parts.containers.create(parts.actor)
    await container.run_cell("srvtoolu_1", Cell("await ask({})", 60, (ToolFunction("ask"),)))
    with pytest.raises(ForeignCell):
        other.has_cell("srvtoolu_1")
    with pytest.raises(InterpreterBusy):
        await container.run_cell("srvtoolu_2", Cell("1", 60))
    with pytest.raises(CellGone):
        await other.answer_cell("srvtoolu_1", [])
