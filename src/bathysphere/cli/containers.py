"""``bathysphere containers``: list, show and delete containers and read their records, with or without a server."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from bathysphere.api.container_shapes import CallInfo, ContainerInfo
from bathysphere.cli import configuration, data_directory
from bathysphere.cli.columns import columns, shown, size
from bathysphere.cli.program import program
from bathysphere.containers import operating
from bathysphere.containers.overview import Overview
from bathysphere.store import audit, workspaces
from bathysphere.store import containers as rows
from bathysphere.store.audit import Call
from bathysphere.store.database import Database

T = TypeVar("T")

_PAGE: Final = 1000
_SUBJECT_CHARACTERS: Final = 100

_json = click.option("--json", "as_json", is_flag=True, help="For programs: everything, as JSON.")


@click.group()
def containers() -> None:
    """Containers: list, show and delete them, read the record of what was done in them."""


@containers.command("list")
@data_directory.option
@configuration.option
@click.option("--workspace", help="Only this one's: its name, or its id.")
@click.option("--deleted", is_flag=True, help="Also those whose disk is gone, for as long as their record is kept.")
@_json
def list_containers(
    data: Path | None, config: Path | None, workspace: str | None, deleted: bool, as_json: bool
) -> None:
    """Show the containers of all workspaces, newest first."""

    async def work(database: Database) -> tuple[list[Overview], dict[str, str]]:
        names = await workspaces.names(database)
        chosen = None
        if workspace is not None:
            chosen = next((known for known, name in names.items() if workspace in (known, name)), None)
            if chosen is None:
                raise click.ClickException(f"There is no workspace {workspace}.")
        found: list[rows.Container] = []
        page = rows.Page([], more=True)
        while page.more:
            last = rows.Position(found[-1].created_at, found[-1].id) if found else None
            page = await rows.listing(database, chosen, _PAGE, last, deleted)
            found += page.containers
        return await operating.seen(data_directory.of(data), database, found), names

    limit = configuration.load(config)[0].sandbox.disk_bytes
    found, names = data_directory.run(data, work)
    if as_json:
        _print_json([_described(seen, limit, names) for seen in found])
        return
    if not found:
        click.echo("There are no containers.", err=True)
        return
    click.echo(
        columns(
            ("ID", "WORKSPACE", "STATE", "DISK", "CALLS", "CREATED", "LAST USED", "EXPIRES"),
            [
                (
                    seen.container.id,
                    names.get(seen.container.workspace_id, seen.container.workspace_id),
                    seen.state,
                    size(seen.disk_bytes),
                    str(seen.calls),
                    _moment(seen.container.created_at),
                    _moment(seen.container.last_used_at),
                    _moment(seen.container.expires_at),
                )
                for seen in found
            ],
        )
    )


@containers.command("show")
@data_directory.option
@configuration.option
@click.argument("container_id", metavar="ID")
@_json
def show_container(data: Path | None, config: Path | None, container_id: str, as_json: bool) -> None:
    """Show all that is known of one container."""

    async def work(database: Database) -> tuple[Overview, dict[str, str]]:
        (found,) = await operating.seen(data_directory.of(data), database, [await _find(database, container_id)])
        return found, await workspaces.names(database)

    limit = configuration.load(config)[0].sandbox.disk_bytes
    seen, names = data_directory.run(data, work)
    described = _described(seen, limit, names)
    if as_json:
        _print_json(described)
        return
    described["disk"] = f"{size(seen.disk_bytes)} of {size(limit)}"
    del described["type"]
    for name, value in described.items():
        click.echo(f"{name.replace('_', ' '):<14} {'-' if value is None else shown(str(value))}")


@containers.command("log")
@data_directory.option
@click.argument("container_id", metavar="ID")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, from the newest.")
@_json
def container_log(data: Path | None, container_id: str, limit: int, as_json: bool) -> None:
    """Show the record of a container, oldest first: who did what, how it ended and what it took."""

    async def work(database: Database) -> list[Call]:
        container = await _find(database, container_id)
        return list(reversed(await audit.latest(database, container.id, limit)))

    calls = data_directory.run(data, work)
    if as_json:
        _print_json([CallInfo.of(call).model_dump(mode="json") for call in calls])
        return
    if not calls:
        click.echo("Nothing was done in it yet.", err=True)
        return
    headings = ("WHEN", "KEY", "ACTION", "ENDED", "SECONDS", "CPU", "MEMORY", "WRITTEN", "FILES", "WHAT")
    click.echo(columns(headings, map(_line, calls)))


@containers.command("delete")
@data_directory.option
@click.argument("container_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="For programs: what became of each, as JSON.")
def delete_containers(data: Path | None, container_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete containers and what they hold, for good; also in the middle of a call."""

    async def work(database: Database) -> dict[str, bool]:
        # All are looked for before the first is deleted: a mistyped id changes nothing.
        found = [await _find(database, container_id) for container_id in container_ids]
        return {
            container.id: await operating.delete(data_directory.of(data), database, container) for container in found
        }

    gone = data_directory.run(data, work)
    if as_json:
        _print_json([{"id": container_id, "disk_removed": removed} for container_id, removed in gone.items()])
        return
    for container_id, removed in gone.items():
        after = "" if removed else " Its disk is removed when the server starts next."
        click.echo(f"{container_id} is deleted.{after}", err=True)


async def _find(database: Database, container_id: str) -> rows.Container:
    found = await rows.find(database, container_id)
    if found is None:
        raise click.ClickException(
            f"There is no container {shown(container_id[:200])}. All of them: {program()} containers list --deleted"
        )
    return found


def _described(seen: Overview, limit: int, names: dict[str, str]) -> dict[str, Any]:
    described = ContainerInfo.of(seen, limit).model_dump(mode="json")
    lost = seen.container.lost_at
    return {
        **described,
        "workspace_id": seen.container.workspace_id,
        "workspace": names.get(seen.container.workspace_id),
        "lost_at": None if lost is None else lost.isoformat().replace("+00:00", "Z"),
    }


def _line(call: Call) -> tuple[str, ...]:
    ended = call.outcome if call.exit_code is None else f"exit {call.exit_code}"
    if call.timed_out:
        ended = "time limit"
    what = call.subject if call.subject is not None else f"{call.subject_bytes} bytes, sha256 {call.subject_sha256}"
    if len(what) > _SUBJECT_CHARACTERS:
        what = f"{what[:_SUBJECT_CHARACTERS]}..."
    if call.error is not None:
        what = f"{what} ({call.error})"
    return (
        f"{call.started_at.astimezone():%Y-%m-%d %H:%M:%S}",
        call.api_key_id or "operator",
        call.action,
        ended,
        f"{call.duration_seconds:.3f}",
        "-" if call.cpu_seconds is None else f"{call.cpu_seconds:.3f}",
        size(call.peak_memory_bytes),
        size(call.written_bytes),
        ", ".join(f"{file.name} ({size(file.size_bytes)}, {file.id})" for file in call.files) or "-",
        what or "-",
    )


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
