"""Skills and their versions as a client of either shape sees them (WIRE g, 0.3), and what both lists need."""

from __future__ import annotations

import re
from typing import Final

from starlette.datastructures import Headers, QueryParams

from bathysphere.api.betas import betas
from bathysphere.api.page_tokens import read_token, token
from bathysphere.store import skills
from bathysphere.store.skills import Listed, Position
from bathysphere.wire.errors import InvalidRequest, NotFound, PermissionDenied
from bathysphere.wire.skills import (
    LIST_LIMIT_DEFAULT,
    SKILLS_BETA,
    Skill,
    SkillBeta,
    SkillSource,
    SkillVersion,
    SkillVersionBeta,
    version_id_beta,
)

_LIMIT_TEXT: Final = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_SHOWN_ID: Final = 100


def is_old(headers: Headers) -> bool:
    """Whether a request asks for the older shape."""
    return SKILLS_BETA in betas(headers)


def skill_shape(listed: Listed, *, old: bool) -> Skill | SkillBeta:
    """A skill as a client of the older, or newer, shape sees it."""
    skill = listed.skill
    if old:
        return SkillBeta(
            id=skill.id,
            display_title=skill.display_title,
            latest_version=listed.latest_version,
            source=skill.source,
            created_at=skill.created_at,
            updated_at=skill.updated_at,
        )
    return Skill(
        id=skill.id,
        display_name=skill.display_title,
        latest_version_id=skill.latest_version_id,
        source=SkillSource(type=skill.source),
        created_at=skill.created_at,
        updated_at=skill.updated_at,
    )


def version_shape(version: skills.SkillVersion, *, old: bool) -> SkillVersion:
    """A version as a client of the older, or newer, shape sees it."""
    newer = SkillVersion(
        id=version.id,
        skill_id=version.skill_id,
        name=version.name,
        description=version.description,
        created_at=version.created_at,
    )
    if not old:
        return newer
    return SkillVersionBeta(
        **(newer.model_dump(exclude={"created_at"}) | {"id": version_id_beta(version.id)}),
        created_at=version.created_at,
        version=version.version,
        directory=version.name,
    )


def next_page(item: Position, *, more: bool) -> str | None:
    """The token of the page that follows this item; None when it is the last."""
    return token(item.created_at, item.id) if more else None


def position(query: QueryParams) -> Position | None:
    """Where the page that is asked for begins. Raises InvalidRequest."""
    page = query.get("page")
    return None if not page else Position(*read_token(page))


def limit(query: QueryParams, allowed: tuple[int, int]) -> int:
    """How many are asked for. Raises InvalidRequest."""
    text = query.get("limit")
    if text is None:
        return LIST_LIMIT_DEFAULT
    if not _LIMIT_TEXT.fullmatch(text):
        raise InvalidRequest("limit: Input should be a valid integer")
    least, most = allowed
    if int(text) < least:
        raise InvalidRequest(f"limit: Input should be greater than or equal to {least}")
    if int(text) > most:
        raise InvalidRequest(f"limit: Input should be less than or equal to {most}")
    return int(text)


def not_found(skill_id: str) -> NotFound:
    """The error for a skill that this workspace does not have."""
    return NotFound(f"Skill `{skill_id[:_SHOWN_ID]}` not found.")


def version_not_found(skill_id: str, version: str) -> NotFound:
    """The error for a version that a skill of this workspace does not have."""
    return NotFound(f"Version `{version[:_SHOWN_ID]}` of skill `{skill_id[:_SHOWN_ID]}` not found.")


def check_changeable(listed: Listed) -> None:
    """Raises PermissionDenied for a skill of the server's own."""
    if listed.skill.workspace_id is None:
        raise PermissionDenied(
            f"Skill `{listed.skill.id}` belongs to the server: it is there for every workspace, and cannot be changed "
            "or deleted. Make a skill of your own instead."
        )
