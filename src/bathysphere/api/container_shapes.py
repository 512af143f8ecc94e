"""What the Containers API takes and gives, as OpenAPI describes it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bathysphere.containers.container import CommandEnd
from bathysphere.containers.overview import Overview, State
from bathysphere.host.operations import LARGEST_SOURCE
from bathysphere.store.audit import Action, Call, Outcome


class DiskUse(BaseModel):
    """A container's disk. ``used_bytes`` is null where the host cannot tell."""

    used_bytes: int | None
    limit_bytes: int


class ContainerInfo(BaseModel):
    """A container."""

    type: Literal["container"] = "container"
    id: str
    state: Annotated[
        State,
        Field(
            description=(
                "busy: a call runs. idle: it runs and waits. suspended: no process runs, the files wait. "
                "full: its disk has no room left. broken: its disk is damaged or lost. expired, deleted: it can no "
                "longer be used."
            )
        ),
    ]
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    deleted_at: Annotated[datetime | None, Field(description="when its disk was removed")]
    forked_from: Annotated[str | None, Field(description="the container it is a copy of")]
    disk: DiskUse
    calls: Annotated[int, Field(description="how many calls are in its record")]

    @classmethod
    def of(cls, seen: Overview, limit_bytes: int) -> ContainerInfo:
        """What is seen of a container, whose disk has at most ``limit_bytes``."""
        row = seen.container
        return cls(
            id=row.id,
            state=seen.state,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
            deleted_at=row.deleted_at,
            forked_from=row.forked_from,
            disk=DiskUse(used_bytes=seen.disk_bytes, limit_bytes=limit_bytes),
            calls=seen.calls,
        )


class ContainerList(BaseModel):
    """A page of the list, newest first."""

    data: list[ContainerInfo]
    next_page: Annotated[str | None, Field(description="for `page`, to get what follows; null at the end")]


class ContainerDeleted(BaseModel):
    """The answer to a deletion."""

    type: Literal["container_deleted"] = "container_deleted"
    id: str


class Produced(BaseModel):
    """A file that a call produced; its bytes are at `/v1/files/{id}/content`."""

    id: str
    filename: str
    size_bytes: int


class CallInfo(BaseModel):
    """One entry of a container's record."""

    type: Literal["container_call"] = "container_call"
    number: Annotated[int, Field(description="rises with each entry")]
    container_id: str
    api_key_id: Annotated[str | None, Field(description="null: the operator, or the server itself")]
    request_id: str | None
    started_at: datetime
    action: Action
    subject: Annotated[str | None, Field(description="the first 4 KiB of the command, or the path")]
    subject_bytes: int
    subject_sha256: str
    outcome: Outcome
    error: str | None
    exit_code: int | None
    timed_out: bool
    duration_seconds: float
    cpu_seconds: float | None
    peak_memory_bytes: int | None
    written_bytes: int | None
    files: list[Produced]

    @classmethod
    def of(cls, call: Call) -> CallInfo:
        """The entry for a recorded call."""
        values = {name: getattr(call, name) for name in cls.model_fields if name not in ("type", "files")}
        return cls(
            **values,
            files=[Produced(id=file.id, filename=file.name, size_bytes=file.size_bytes) for file in call.files],
        )


class CallList(BaseModel):
    """A page of a container's record, newest first."""

    data: list[CallInfo]
    next_before: Annotated[int | None, Field(description="for `before`, to get what follows; null at the end")]


class RunRequest(BaseModel):
    """A command to run."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, Field(min_length=1, max_length=LARGEST_SOURCE, description="a bash script, or Python code")]
    language: Literal["bash", "python"] = "bash"
    timeout_seconds: Annotated[
        float | None, Field(gt=0, allow_inf_nan=False, description="at most, and if null, `sandbox.command_seconds`")
    ] = None
    stream: Annotated[bool, Field(description="answer with server-sent events, as the command writes")] = False


class _Ended(BaseModel):
    return_code: Annotated[int, Field(description="128 + n for a program ended by signal n")]
    timed_out: bool
    truncated: Annotated[bool, Field(description="more was written than `sandbox.output_bytes`")]
    duration_seconds: float
    cpu_seconds: float | None
    peak_memory_bytes: int | None
    notes: Annotated[list[str], Field(description="what limits did, and which files were not kept and why")]
    files: list[Produced]


def ended(end: CommandEnd) -> dict[str, Any]:
    """The values that a run's end and its whole result share."""
    return {
        "return_code": end.return_code,
        "timed_out": end.timed_out,
        "truncated": end.truncated,
        "duration_seconds": end.duration_seconds,
        "cpu_seconds": end.cpu_seconds,
        "peak_memory_bytes": end.peak_memory_bytes,
        "notes": list(end.notes),
        "files": [Produced(id=file.id, filename=file.name, size_bytes=file.size_bytes) for file in end.files],
    }


class RunEnd(_Ended):
    """The last event: how a command ended."""

    type: Literal["run_end"] = "run_end"


class RunOutput(BaseModel):
    """An event: what a command has just written."""

    type: Literal["run_output"] = "run_output"
    stream: Literal["stdout", "stderr"]
    text: str


class RunResult(_Ended):
    """A whole run."""

    type: Literal["run"] = "run"
    stdout: str
    stderr: str


class Written(BaseModel):
    """A file that was uploaded into a container."""

    type: Literal["container_file"] = "container_file"
    path: Annotated[str, Field(description="as it was given")]
    size_bytes: int
