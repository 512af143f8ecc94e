"""Skills of all workspaces, for who runs the server."""

from __future__ import annotations

from sqlalchemy import select

from bathysphere.store import skills
from bathysphere.store.database import Database
from bathysphere.store.schema import SkillRow, SkillVersionRow
from bathysphere.store.skills import Position, Skill, SkillVersion


async def listing(database: Database, workspace_id: str | None = None) -> list[tuple[Skill, SkillVersion | None]]:
    """Every skill with its latest version, newest first; of one workspace, with the server's own, if it is given.

    The version is None for a skill whose versions have all been deleted.
    """
    query = (
        select(SkillRow, SkillVersionRow)
        .outerjoin(SkillVersionRow, SkillVersionRow.id == SkillRow.latest_version_id)
        .order_by(SkillRow.created_at.desc(), SkillRow.id.desc())
    )
    if workspace_id is not None:
        query = query.where(skills.visible(workspace_id))
    async with database.reading() as session:
        found = await session.execute(query)
        return [
            (skills.shown(row), None if version is None else skills.shown_version(version)) for row, version in found
        ]


async def find(database: Database, skill_id: str) -> Skill | None:
    """A skill of any workspace, or the server's own; None when there is none of that id."""
    async with database.reading() as session:
        row = await session.get(SkillRow, skill_id)
        return None if row is None else skills.shown(row)


async def named(database: Database, workspace_id: str, name: str) -> list[tuple[Skill, SkillVersion]]:
    """The skills of a workspace itself whose latest version has a name; names need not be one of a kind."""
    return [
        (skill, version)
        for skill, version in await listing(database, workspace_id)
        if skill.workspace_id is not None and version is not None and version.name == name
    ]


async def all_versions(database: Database, skill_id: str) -> list[SkillVersion]:
    """Every version of a skill, newest first."""
    found: list[SkillVersion] = []
    page = skills.VersionPage([], more=True)
    while page.more:
        after = Position(found[-1].created_at, found[-1].id) if found else None
        page = await skills.versions(database, skill_id, 1000, after=after)
        found += page.versions
    return found
