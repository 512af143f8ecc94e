"""``bathysphere skills``: check, add, list, show and remove Agent Skills, also while a server runs on the directory."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from bathysphere.api.skill_upload import bounds_of
from bathysphere.cli import configuration, data_directory
from bathysphere.cli.columns import columns, shown, size
from bathysphere.cli.program import program
from bathysphere.image.definition import Definition
from bathysphere.image.importable import importable
from bathysphere.settings import Settings, skills_directory, store_directory
from bathysphere.skills.advice import Advice, advise
from bathysphere.skills.archive import archived
from bathysphere.skills.bundle import Bundle
from bathysphere.skills.refusal import BadSkill
from bathysphere.skills.source import read_skill
from bathysphere.store import skill_overview, workspaces
from bathysphere.store import skills as store
from bathysphere.store.blobs import BlobError
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database
from bathysphere.store.quota import StorageQuotaExceeded
from bathysphere.store.skill_archives import keep
from bathysphere.store.skills import Skill, SkillVersion
from bathysphere.wire.skills import DISPLAY_NAME_CHARACTERS, display_name_fault

T = TypeVar("T")

_EVERYWHERE: Final = "(all)"
_source = click.argument("source", metavar="FOLDER|ZIP", type=click.Path(path_type=Path, readable=False))


@click.group()
def skills() -> None:
    """Agent Skills: check, add, list, show and remove them. Also: one folder each in DATA/skills."""


@skills.command()
@configuration.option
@_source
def check(source: Path, config: Path | None) -> None:
    """Say what the server would refuse in a skill, and what its author should mend.

    Ends with 1 when the skill would be refused, with 0 otherwise, also with warnings.
    """
    bundle = _read(source, configuration.load(config)[0])
    advice = [*advise(bundle, importable(Definition.load())), *_of_folder(source, bundle)]
    for said in advice:
        click.echo(f"warning: {shown(str(said))}")
    total = sum(len(file.content) for file in bundle.files)
    warnings = f"{len(advice)} warning{'s' if len(advice) > 1 else ''}" if advice else "nothing to mend"
    click.echo(f"{bundle.name}: {len(bundle.files)} files, {size(total)}; {warnings}")


@skills.command()
@data_directory.option
@configuration.option
@click.option("--workspace", default=workspaces.DEFAULT_NAME, show_default=True, help="Made if there is none.")
@click.option("--title", help="Shown in lists. [default: the skill's name]")
@click.option("--skill", "skill_id", metavar="ID", help="Of which skill it is a version, where several have its name.")
@_source
def add(
    source: Path, data: Path | None, config: Path | None, workspace: str, title: str | None, skill_id: str | None
) -> None:
    """Add a skill to a workspace; a new version, where the workspace has a skill of that name. Prints its id."""
    settings, _ = configuration.load(config)
    if title is not None and (fault := display_name_fault(title, DISPLAY_NAME_CHARACTERS)):
        raise click.ClickException(f"--title {fault}.")
    # Before the rights of the data directory's owner are taken, who may not see the folder.
    bundle = _read(source, settings)
    archive = archived(bundle.files)

    async def work(database: Database, blobs: LocalBlobs) -> tuple[str, str]:
        workspace_id = (await workspaces.named(database, workspace)).id
        before = await _before(database, workspace_id, bundle.name, skill_id)
        if before is not None and before[1].digest == archive.digest:
            return before[0].id, f"{bundle.name} is there already, as version {before[1].version}; nothing is added"
        if before is not None and title is not None:
            raise click.ClickException(
                f"{before[0].id} is called {bundle.name} already, and a version has no title of its own; leave it out."
            )
        snapshot = await keep(bundle, archive, blobs)
        if before is None:
            skill, version = await store.add(
                database,
                blobs,
                workspace_id=workspace_id,
                display_title=title or bundle.name,
                snapshot=snapshot,
                storage_bytes=settings.limits.storage_bytes,
            )
            return skill.id, f"{bundle.name} is added to {workspace}, as version {version.version}"
        added = await store.add_version(
            database,
            blobs,
            workspace_id=workspace_id,
            skill_id=before[0].id,
            snapshot=snapshot,
            storage_bytes=settings.limits.storage_bytes,
        )
        if added is None:
            raise click.ClickException(f"The skill {before[0].id} has been removed meanwhile. Add it again.")
        return before[0].id, f"{bundle.name} was there: version {added.version} is added to it, and is its latest"

    try:
        found, said = _run(data, settings, work, make=True)
    except StorageQuotaExceeded as error:
        raise click.ClickException(
            f"Files and skills may take {settings.limits.storage_bytes} bytes (limits.storage_bytes), and this one no "
            "longer fits."
        ) from error
    click.echo(f"{said}.", err=True)
    click.echo(found)


@skills.command("list")
@data_directory.option
@click.option("--workspace", help="Only this one's, and those for all.")
@click.option("--json", "as_json", is_flag=True, help="For programs: everything, as JSON.")
def list_skills(data: Path | None, workspace: str | None, as_json: bool) -> None:
    """Show the skills of all workspaces, newest first."""

    async def work(database: Database) -> tuple[list[tuple[Skill, SkillVersion | None]], dict[str, str]]:
        names = await workspaces.names(database)
        chosen = None
        if workspace is not None:
            chosen = next((known for known, name in names.items() if name == workspace), None)
            if chosen is None:
                raise click.ClickException(f"There is no workspace {workspace}.")
        return await skill_overview.listing(database, chosen), names

    found, names = data_directory.run(data, work)
    if as_json:
        click.echo(json.dumps([_described(skill, version, names) for skill, version in found], indent=2))
        return
    if not found:
        click.echo(f"There are no skills. Add one with: {program()} skills add FOLDER", err=True)
        return
    headings = ("ID", "NAME", "WORKSPACE", "TYPE", "VERSION", "FILES", "SIZE", "UPDATED")
    click.echo(columns(headings, [_line(skill, version, names) for skill, version in found]))


@skills.command()
@data_directory.option
@click.argument("skill_id", metavar="ID")
@click.option("--files", is_flag=True, help="Also the files of its latest version.")
def show(data: Path | None, skill_id: str, files: bool) -> None:
    """Show a skill and its versions."""

    async def work(database: Database) -> tuple[Skill, list[SkillVersion], dict[str, str]]:
        skill = await _find(database, skill_id)
        return skill, await skill_overview.all_versions(database, skill.id), await workspaces.names(database)

    skill, versions, names = data_directory.run(data, work)
    latest = next((version for version in versions if version.id == skill.latest_version_id), None)
    for name, value in _described(skill, latest, names).items():
        click.echo(f"{name.replace('_', ' '):<14} {'-' if value is None else shown(str(value))}")
    headings = ("VERSION", "ID", "FILES", "SIZE", "CREATED", "SHA-256")
    rows = [
        (version.version, version.id, str(len(version.files)), size(version.size_bytes), _moment(version.created_at),
         version.digest)
        for version in versions
    ]  # fmt: skip
    click.echo(f"\n{columns(headings, rows)}")
    if files and latest is not None:
        listed = [(file.path, size(file.size_bytes), "yes" if file.executable else "") for file in latest.files]
        click.echo(f"\n{columns(('FILE', 'SIZE', 'EXECUTABLE'), listed)}")


@skills.command()
@data_directory.option
@configuration.option
@click.argument("skill_id", metavar="ID")
def remove(data: Path | None, config: Path | None, skill_id: str) -> None:
    """Remove a skill with all its versions, for good. Containers that have it keep their copy."""

    async def work(database: Database, blobs: LocalBlobs) -> str:
        skill = await _find(database, skill_id)
        if skill.workspace_id is None:
            where = "comes with the server" if skill.source == "anthropic" else f"lies in {folder}: remove it there"
            raise click.ClickException(f"{skill_id} is for all workspaces and {where}, and cannot be removed here.")
        if not await store.delete_skill(database, blobs, skill.workspace_id, skill.id, with_versions=True):
            raise _unknown(skill_id)
        return skill.display_title

    folder = skills_directory(data_directory.of(data)) / skill_id
    title = _run(data, configuration.load(config)[0], work)
    click.echo(f"{skill_id} ({shown(title)}) is removed.", err=True)


def _run(
    data: Path | None, settings: Settings, work: Callable[[Database, LocalBlobs], Awaitable[T]], *, make: bool = False
) -> T:
    """As ``data_directory.run``, with the store of blobs."""
    blobs_folder = store_directory(data_directory.of(data)) / "blobs"

    async def with_blobs(database: Database) -> T:
        return await work(database, await LocalBlobs.open_folder(blobs_folder, settings.limits.reserve_bytes))

    try:
        return data_directory.run(data, with_blobs, make=make)
    except BlobError as error:
        raise click.ClickException(f"The skill cannot be stored: {error}") from error


def _read(source: Path, settings: Settings) -> Bundle:
    try:
        return read_skill(source, bounds_of(settings.limits))
    except BadSkill as error:
        raise click.ClickException(f"{shown(str(source))}: {error}") from error
    except OSError as error:
        raise click.ClickException(f"{shown(str(source))}: cannot be read: {error}") from error


def _of_folder(source: Path, bundle: Bundle) -> list[Advice]:
    """What can be seen in a folder alone."""
    if not source.is_dir():
        return []
    folder = source.resolve()
    found = []
    if folder.name != bundle.name:
        other = f"the folder is called {folder.name}, not {bundle.name}; DATA/skills and older SDKs need its name"
        found.append(Advice("SKILL.md", None, other))
    for file in bundle.files:
        if file.content.startswith(b"#!") and not os.access(folder / file.path, os.X_OK):
            found.append(
                Advice(file.path, 1, "has a #! line and is not executable; it is made so here, but not elsewhere")
            )
    return found


async def _before(
    database: Database, workspace_id: str, name: str, skill_id: str | None
) -> tuple[Skill, SkillVersion] | None:
    """The skill of which there is to be a new version. Raises ClickException where it is not clear which."""
    found = await skill_overview.named(database, workspace_id, name)
    if skill_id is not None:
        chosen = next((pair for pair in found if pair[0].id == skill_id), None)
        if chosen is None:
            raise click.ClickException(f"The workspace has no skill {shown(skill_id[:200])} that is called {name}.")
        return chosen
    if len(found) > 1:
        ids = ", ".join(skill.id for skill, _ in found)
        raise click.ClickException(f"Several skills of the workspace are called {name}: name one with --skill ({ids}).")
    return found[0] if found else None


async def _find(database: Database, skill_id: str) -> Skill:
    found = await skill_overview.find(database, skill_id)
    if found is None:
        raise _unknown(skill_id)
    return found


def _unknown(skill_id: str) -> click.ClickException:
    return click.ClickException(f"There is no skill {shown(skill_id[:200])}. All of them: {program()} skills list")


def _described(skill: Skill, version: SkillVersion | None, names: dict[str, str]) -> dict[str, Any]:
    return {
        "id": skill.id,
        "type": skill.source,
        "name": version and version.name,
        "title": skill.display_title,
        "description": version and version.description,
        "workspace_id": skill.workspace_id,
        "workspace": skill.workspace_id and names.get(skill.workspace_id),
        "latest_version": version and version.version,
        "latest_version_id": skill.latest_version_id,
        "files": version and len(version.files),
        "size_bytes": version and version.size_bytes,
        "created_at": skill.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": skill.updated_at.isoformat().replace("+00:00", "Z"),
    }


def _line(skill: Skill, version: SkillVersion | None, names: dict[str, str]) -> tuple[str, ...]:
    return (
        skill.id,
        "-" if version is None else version.name,
        _EVERYWHERE if skill.workspace_id is None else names.get(skill.workspace_id, skill.workspace_id),
        skill.source,
        "-" if version is None else version.version,
        "-" if version is None else str(len(version.files)),
        "-" if version is None else size(version.size_bytes),
        _moment(skill.updated_at),
    )


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
