"""Skills as the protocol has them (WIRE g): both shapes of each object, and the rules that are not of their files."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, PlainSerializer

from bathysphere.wire.message import timestamp

SKILLS_BETA: Final = "skills-2025-10-02"
"""With this beta header, and only with it, skills have the older shape (WIRE 0.3)."""

LIST_LIMIT_DEFAULT: Final = 20
LIST_LIMIT: Final = (1, 1_000)
LIST_LIMIT_BETA: Final = (1, 100)
"""Of skills in the older shape. The list of versions has the other one in both."""

DISPLAY_NAME_CHARACTERS: Final = 255
DISPLAY_TITLE_CHARACTERS: Final = 64
"""In the older shape."""

SOURCES: Final = ("custom", "anthropic")

_VERSION_ID: Final = "skver_"
_VERSION_ID_BETA: Final = "skillver_"
_UNPRINTED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})

Source = Literal["custom", "anthropic"]
_Moment = Annotated[datetime, PlainSerializer(timestamp, return_type=str)]


class SkillSource(BaseModel):
    """Where a skill comes from: ``anthropic`` are those that this server brings along."""

    type: Source


class Skill(BaseModel):
    """A skill. ``latest_version_id`` is null only when a client of the older shape has deleted every version."""

    id: str
    type: Literal["skill"] = "skill"
    display_name: str
    latest_version_id: str | None
    source: SkillSource
    created_at: _Moment
    updated_at: _Moment


class SkillBeta(BaseModel):
    """A skill, with the beta header."""

    id: str
    type: Literal["skill"] = "skill"
    display_title: str
    latest_version: str | None
    source: Source
    created_at: _Moment
    updated_at: _Moment


class SkillVersion(BaseModel):
    """A version of a skill."""

    id: str
    type: Literal["skill_version"] = "skill_version"
    skill_id: str
    name: str
    description: str
    created_at: _Moment


class SkillVersionBeta(SkillVersion):
    """A version of a skill, with the beta header. ``directory`` is the folder that it has in a container."""

    version: str
    directory: str


class SkillList(BaseModel):
    """A page of the list, newest first. ``next_page`` is null on the last one."""

    data: list[Skill]
    next_page: str | None


class SkillListBeta(BaseModel):
    """A page of the list, with the beta header."""

    data: list[SkillBeta]
    has_more: bool
    next_page: str | None


class SkillVersionList(BaseModel):
    """A page of the versions, newest first."""

    data: list[SkillVersion]
    next_page: str | None


class SkillVersionListBeta(BaseModel):
    """A page of the versions, with the beta header: oldest first."""

    data: list[SkillVersionBeta]
    has_more: bool
    next_page: str | None


class SkillDeleted(BaseModel):
    """The answer to a skill's deletion."""

    id: str
    type: Literal["skill_deleted"] = "skill_deleted"


class SkillVersionDeleted(BaseModel):
    """The answer to a version's deletion. ``id`` is what the version is called in that shape."""

    id: str
    type: Literal["skill_version_deleted"] = "skill_version_deleted"


def version_reference(version: str) -> str:
    """What a client calls a version, with the ids of either shape turned into that of the store."""
    if version.startswith(_VERSION_ID_BETA):
        return _VERSION_ID + version.removeprefix(_VERSION_ID_BETA)
    return version


def version_id_beta(version_id: str) -> str:
    """A version's id as the older shape has it."""
    return _VERSION_ID_BETA + version_id.removeprefix(_VERSION_ID)


def display_name_fault(name: str, characters: int) -> str | None:
    """What is wrong with a name for display; None when nothing is."""
    if not 1 <= len(name) <= characters:
        return f"has {len(name)} characters; 1 to {characters} are allowed"
    if any(unicodedata.category(character) in _UNPRINTED for character in name):
        return "must be a single line without control characters"
    return None
