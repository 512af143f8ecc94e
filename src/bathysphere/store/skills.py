"""Agent Skills: a row for the skill, a row for each of its versions, and a blob with a version's files (WIRE g).

As with files, a blob is durable before its row appears, and the row is gone before its blob.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import ColumnElement, Select, Tuple, delete, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from bathysphere.store.blobs import Blobs, forget
from bathysphere.store.database import Database
from bathysphere.store.quota import room_within
from bathysphere.store.schema import SkillRow, SkillVersionRow
from bathysphere.store.timestamps import Moment, to_microseconds
from bathysphere.wire.ids import new_id

Source = Literal["custom", "anthropic"]

LATEST: Final = "latest"
"""Stands for the newest version wherever a version is named."""

_skill_place = tuple_(SkillRow.created_at, SkillRow.id)
_version_place = tuple_(SkillVersionRow.created_at, SkillVersionRow.id)


class TitleTaken(Exception):
    """Another skill of the workspace has this title."""


class OtherName(Exception):
    """The version's name is not that of the versions before it; ``str(error)`` is theirs."""


class HasVersions(Exception):
    """A skill that still has versions is not to be deleted with them."""


class OnlyVersion(Exception):
    """A skill is not to be left without a version."""


@dataclass(frozen=True, slots=True)
class SkillFile:
    """A file of a skill; ``path`` is relative to the skill's folder: ``SKILL.md``, ``scripts/check.py``."""

    path: str
    size_bytes: int
    executable: bool


@dataclass(frozen=True, slots=True)
class SkillVersion:
    """One snapshot of a skill. Its files are in one archive, whose SHA-256 is ``digest`` (skills/archive.py)."""

    id: str
    skill_id: str
    version: str
    name: str
    description: str
    created_at: datetime
    digest: str
    blob_key: str
    size_bytes: int
    files: tuple[SkillFile, ...]


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill. Without a ``workspace_id`` it is the server's own: for every workspace, and changed by none."""

    id: str
    workspace_id: str | None
    display_title: str
    source: Source
    latest_version_id: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is to become a version: its archive is in the blob store, under ``blob_key``, with ``size_bytes``."""

    name: str
    description: str
    digest: str
    blob_key: str
    size_bytes: int
    files: tuple[SkillFile, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list, which is in the order of creation."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A skill of a list, and its latest version's ``version``; None when it has no version."""

    skill: Skill
    latest_version: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list of skills, newest first; ``more``: there are further ones behind it."""

    skills: list[Listed]
    more: bool


@dataclass(frozen=True, slots=True)
class VersionPage:
    """A part of the list of a skill's versions; ``more``: there are further ones behind it."""

    versions: list[SkillVersion]
    more: bool


async def resolve(
    database: Database, workspace_id: str, kind: str, skill_id: str, version: str
) -> tuple[Skill, SkillVersion] | None:
    """What a request's ``container.skills`` names; None when this workspace has no such skill or version.

    ``kind`` is ``anthropic`` or ``custom``; ``version`` is ``latest``, an id or the version's own text.
    """
    async with database.reading() as session:
        skill = await _skill(session, workspace_id, skill_id)
        if skill is None or skill.source != kind:
            return None
        row = await _version(session, skill, version)
        return None if row is None else (shown(skill), shown_version(row))


async def add(
    database: Database,
    blobs: Blobs,
    *,
    workspace_id: str,
    display_title: str,
    snapshot: Snapshot,
    storage_bytes: int,
    api_key_id: str | None = None,
    title_unique: bool = False,
    now: datetime | None = None,
) -> tuple[Skill, SkillVersion]:
    """A new skill with its first version. Whatever goes wrong, a blob without a row is deleted.

    Raises TitleTaken, with ``title_unique``; StorageQuotaExceeded; DatabaseFull.
    """
    now = now or datetime.now(UTC)
    skill = SkillRow(
        id=new_id("skill"), workspace_id=workspace_id, display_title=display_title, source="custom",
        created_at=now, updated_at=now,
    )  # fmt: skip
    try:
        async with database.writing() as session:
            await _check_room(session, workspace_id, api_key_id, snapshot, storage_bytes)
            if title_unique and await session.scalar(
                select(SkillRow.id).where(
                    SkillRow.workspace_id == workspace_id, SkillRow.display_title == display_title
                )
            ):
                raise TitleTaken
            session.add(skill)
            await session.flush()
            version = await _append(session, skill, snapshot, str(to_microseconds(now)), now, api_key_id)
    except BaseException:
        await forget(blobs, snapshot.blob_key)
        raise
    return shown(skill), shown_version(version)


async def add_version(
    database: Database,
    blobs: Blobs,
    *,
    workspace_id: str,
    skill_id: str,
    snapshot: Snapshot,
    storage_bytes: int,
    api_key_id: str | None = None,
    now: datetime | None = None,
) -> SkillVersion | None:
    """A new version of a skill of this workspace; None when it has none of that id, and then the blob is deleted.

    Raises OtherName, StorageQuotaExceeded and DatabaseFull, and then the blob is deleted too.
    """
    now = now or datetime.now(UTC)
    try:
        async with database.writing() as session:
            skill = await session.get(SkillRow, skill_id)
            if skill is None or skill.workspace_id != workspace_id:
                row = None
            else:
                await _check_room(session, workspace_id, api_key_id, snapshot, storage_bytes)
                row = await _append(session, skill, snapshot, str(to_microseconds(now)), now, api_key_id)
    except BaseException:
        await forget(blobs, snapshot.blob_key)
        raise
    if row is None:
        await forget(blobs, snapshot.blob_key)
        return None
    return shown_version(row)


async def get(database: Database, workspace_id: str, skill_id: str) -> Listed | None:
    """The skill, of this workspace or the server's own; None when there is none of that id."""
    async with database.reading() as session:
        found = (await session.execute(_listed(workspace_id).where(SkillRow.id == skill_id))).first()
    return None if found is None else Listed(shown(found[0]), found[1])


async def older(
    database: Database, workspace_id: str, limit: int, *, source: str | None = None, than: Position | None = None
) -> Page:
    """The newest ``limit`` skills, or the next ones after a position; only those of ``source``, if given."""
    query = _listed(workspace_id)
    if source is not None:
        query = query.where(SkillRow.source == source)
    if than is not None:
        query = query.where(_skill_place < _place(than))
    query = query.order_by(SkillRow.created_at.desc(), SkillRow.id.desc()).limit(limit + 1)
    async with database.reading() as session:
        found = [Listed(shown(row), version) for row, version in await session.execute(query)]
    return Page(found[:limit], len(found) > limit)


async def get_version(database: Database, workspace_id: str, skill_id: str, version: str) -> SkillVersion | None:
    """A version by its id, its own text, or ``latest``; None when this workspace has no such skill or version."""
    async with database.reading() as session:
        skill = await _skill(session, workspace_id, skill_id)
        row = None if skill is None else await _version(session, skill, version)
        return None if row is None else shown_version(row)


async def versions(
    database: Database, skill_id: str, limit: int, *, oldest_first: bool = False, after: Position | None = None
) -> VersionPage:
    """The first ``limit`` versions of a skill in the order that is asked for, or the next ones after a position."""
    query = select(SkillVersionRow).where(SkillVersionRow.skill_id == skill_id)
    if oldest_first:
        if after is not None:
            query = query.where(_version_place > _place(after))
        query = query.order_by(SkillVersionRow.created_at, SkillVersionRow.id)
    else:
        if after is not None:
            query = query.where(_version_place < _place(after))
        query = query.order_by(SkillVersionRow.created_at.desc(), SkillVersionRow.id.desc())
    async with database.reading() as session:
        found = [shown_version(row) for row in await session.scalars(query.limit(limit + 1))]
    return VersionPage(found[:limit], len(found) > limit)


async def delete_skill(
    database: Database, blobs: Blobs, workspace_id: str, skill_id: str, *, with_versions: bool
) -> bool:
    """Remove a skill and its versions for good. False when this workspace has none of its own of that id.

    Raises HasVersions, without ``with_versions``, for one that still has some.
    """
    async with database.writing() as session:
        skill = await session.get(SkillRow, skill_id)
        if skill is None or skill.workspace_id != workspace_id:
            return False
        keys = list(await session.scalars(select(SkillVersionRow.blob_key).where(SkillVersionRow.skill_id == skill_id)))
        if keys and not with_versions:
            raise HasVersions
        await session.execute(delete(SkillVersionRow).where(SkillVersionRow.skill_id == skill_id))
        await session.delete(skill)
    database.deleted.set()
    for key in keys:
        await forget(blobs, key)
    return True


async def delete_version(
    database: Database,
    blobs: Blobs,
    workspace_id: str,
    skill_id: str,
    version: str,
    *,
    keep_one: bool,
    now: datetime | None = None,
) -> SkillVersion | None:
    """Remove a version for good; the newest one that is left is then the latest.

    None when this workspace has no such skill of its own, or the skill no such version. Raises OnlyVersion, with
    ``keep_one``, for the last one.
    """
    async with database.writing() as session:
        skill = await session.get(SkillRow, skill_id)
        if skill is None or skill.workspace_id != workspace_id:
            return None
        row = await _version(session, skill, version)
        if row is None:
            return None
        left = await session.scalar(
            select(SkillVersionRow.id)
            .where(SkillVersionRow.skill_id == skill_id, SkillVersionRow.id != row.id)
            .order_by(SkillVersionRow.created_at.desc(), SkillVersionRow.id.desc())
            .limit(1)
        )
        if left is None and keep_one:
            raise OnlyVersion
        if skill.latest_version_id == row.id:
            skill.latest_version_id = left
        skill.updated_at = now or datetime.now(UTC)
        await session.delete(row)
    database.deleted.set()
    await forget(blobs, row.blob_key)
    return shown_version(row)


async def has_own(database: Database, skill_id: str, digest: str) -> bool:
    """Whether the latest version of a skill of the server's own is the one with this digest."""
    async with database.reading() as session:
        found = await session.scalar(
            select(SkillVersionRow.digest)
            .join(SkillRow, SkillRow.latest_version_id == SkillVersionRow.id)
            .where(SkillRow.id == skill_id, SkillRow.workspace_id.is_(None))
        )
    return found == digest


async def put_own(
    database: Database,
    blobs: Blobs,
    *,
    skill_id: str,
    source: Source,
    display_title: str,
    wanted_version: str,
    snapshot: Snapshot,
    now: datetime | None = None,
) -> SkillVersion:
    """Make a snapshot the latest version of a skill of the server's own, which is made if it is not there.

    A version with the same digest is taken as it is, and the blob deleted. When ``wanted_version`` is empty, or
    another snapshot already, which clients may have pinned, the version is named by the time.

    Raises DatabaseFull, and ValueError when the id is that of a skill of a workspace, or of another source.
    """
    now = now or datetime.now(UTC)
    try:
        async with database.writing() as session:
            skill = await session.get(SkillRow, skill_id)
            if skill is None:
                skill = SkillRow(id=skill_id, workspace_id=None, source=source, created_at=now, updated_at=now)
                session.add(skill)
            elif skill.workspace_id is not None:
                raise ValueError(f"the id {skill_id} is that of a workspace's skill")
            elif skill.source != source:
                raise ValueError(f"there is a skill {skill_id} of the source {skill.source} already")
            skill.display_title = display_title
            await session.flush()
            row = await session.scalar(
                select(SkillVersionRow).where(
                    SkillVersionRow.skill_id == skill_id, SkillVersionRow.digest == snapshot.digest
                )
            )
            if row is None:
                row = await _append(session, skill, snapshot, wanted_version, now)
            else:
                skill.latest_version_id = row.id
    except BaseException:
        await forget(blobs, snapshot.blob_key)
        raise
    if row.blob_key != snapshot.blob_key:
        await forget(blobs, snapshot.blob_key)
    return shown_version(row)


async def remove_own(database: Database, blobs: Blobs, gone: Callable[[Skill], bool]) -> list[str]:
    """Remove those of the server's own skills for which ``gone`` holds; their ids."""
    async with database.writing() as session:
        rows = [row for row in await session.scalars(_own()) if gone(shown(row))]
        ids = [row.id for row in rows]
        of_them = SkillVersionRow.skill_id.in_(ids)
        keys = list(await session.scalars(select(SkillVersionRow.blob_key).where(of_them)))
        await session.execute(delete(SkillVersionRow).where(of_them))
        for row in rows:
            await session.delete(row)
    database.deleted.set()
    for key in keys:
        await forget(blobs, key)
    return ids


async def _check_room(
    session: AsyncSession, workspace_id: str, api_key_id: str | None, snapshot: Snapshot, storage_bytes: int
) -> None:
    (await room_within(session, workspace_id, api_key_id, storage_bytes)).check(snapshot.size_bytes)


async def _append(
    session: AsyncSession,
    skill: SkillRow,
    snapshot: Snapshot,
    version: str,
    now: datetime,
    api_key_id: str | None = None,
) -> SkillVersionRow:
    """Make a snapshot the latest version. Raises OtherName."""
    newest = await session.scalar(
        select(SkillVersionRow)
        .where(SkillVersionRow.skill_id == skill.id)
        .order_by(SkillVersionRow.created_at.desc())
        .limit(1)
    )
    if newest is not None and newest.name != snapshot.name:
        raise OtherName(newest.name)
    taken = set(await session.scalars(select(SkillVersionRow.version).where(SkillVersionRow.skill_id == skill.id)))
    while not version or version in taken:
        version = str(max(int(version) if version.isdecimal() else 0, to_microseconds(now) - 1) + 1)
    row = SkillVersionRow(
        id=new_id("skver"),
        skill_id=skill.id,
        version=version,
        name=snapshot.name,
        description=snapshot.description,
        created_at=now,
        digest=snapshot.digest,
        blob_key=snapshot.blob_key,
        size_bytes=snapshot.size_bytes,
        files=[(file.path, file.size_bytes, file.executable) for file in snapshot.files],
        api_key_id=api_key_id,
    )
    session.add(row)
    skill.latest_version_id = row.id
    skill.updated_at = now
    return row


def visible(workspace_id: str) -> ColumnElement[bool]:
    """Of a row of a skill: that a workspace can see it, as its own or the server's."""
    return or_(SkillRow.workspace_id == workspace_id, SkillRow.workspace_id.is_(None))


def _own() -> Select[SkillRow]:
    return select(SkillRow).where(SkillRow.workspace_id.is_(None))


def _listed(workspace_id: str) -> Select[SkillRow, str | None]:
    return (
        select(SkillRow, SkillVersionRow.version)
        .outerjoin(SkillVersionRow, SkillVersionRow.id == SkillRow.latest_version_id)
        .where(visible(workspace_id))
    )


async def _skill(session: AsyncSession, workspace_id: str, skill_id: str) -> SkillRow | None:
    return await session.scalar(select(SkillRow).where(SkillRow.id == skill_id, visible(workspace_id)))


async def _version(session: AsyncSession, skill: SkillRow, version: str) -> SkillVersionRow | None:
    if version == LATEST:
        if skill.latest_version_id is None:
            return None
        version = skill.latest_version_id
    return await session.scalar(
        select(SkillVersionRow).where(
            SkillVersionRow.skill_id == skill.id,
            or_(SkillVersionRow.id == version, SkillVersionRow.version == version),
        )
    )


def _place(position: Position) -> Tuple:
    # Bare values would be bound as a date's text, which SQLite compares with a number without complaint.
    return tuple_(literal(position.created_at, Moment()), literal(position.id))


def shown(row: SkillRow) -> Skill:
    """A row as what it says."""
    source: Source = "anthropic" if row.source == "anthropic" else "custom"
    return Skill(
        id=row.id,
        workspace_id=row.workspace_id,
        display_title=row.display_title,
        source=source,
        latest_version_id=row.latest_version_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def shown_version(row: SkillVersionRow) -> SkillVersion:
    """A row as what it says."""
    return SkillVersion(
        id=row.id,
        skill_id=row.skill_id,
        version=row.version,
        name=row.name,
        description=row.description,
        created_at=row.created_at,
        digest=row.digest,
        blob_key=row.blob_key,
        size_bytes=row.size_bytes,
        files=tuple(SkillFile(*file) for file in row.files),
    )
