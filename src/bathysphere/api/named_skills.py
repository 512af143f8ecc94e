"""The skills that a request names, looked up in the store (WIRE c.2, g)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers

from bathysphere.api.skill_shapes import is_old
from bathysphere.store import skills
from bathysphere.store.database import Database
from bathysphere.turn.skills import TurnSkill
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.message import ContainerSkill
from bathysphere.wire.requests import MessagesRequest, SkillRequest


@dataclass(frozen=True, slots=True)
class NamedSkills:
    """What a turn is to have, in the order of the request."""

    shown: tuple[TurnSkill, ...]
    versions: tuple[skills.SkillVersion, ...]


async def named_skills(
    database: Database, workspace_id: str, body: MessagesRequest, headers: Mapping[str, str]
) -> NamedSkills | None:
    """The skills of ``container.skills``; None when the request says nothing of skills.

    Raises InvalidRequest for a skill or version that this workspace does not have, and for two of one name.
    """
    if body.container is None or body.container.skills is None:
        return None
    # Clients of the older shape know a version by its time, not by its id (WIRE 0.3).
    by_time = is_old(Headers(headers))
    shown: list[TurnSkill] = []
    versions: list[skills.SkillVersion] = []
    for number, wanted in enumerate(body.container.skills):
        found = await skills.resolve(database, workspace_id, wanted.type, wanted.skill_id, wanted.version)
        if found is None:
            raise await _unknown(database, workspace_id, number, wanted)
        version = found[1]
        for other, before in enumerate(versions):
            if before.name == version.name:
                raise InvalidRequest(
                    f"container.skills.{number}.skill_id: `{wanted.skill_id}` and `{before.skill_id}` "
                    f"(container.skills.{other}) are both named {version.name!r}, and only one of them can be at "
                    f"/skills/{version.name}. Leave out one."
                )
        versions.append(version)
        named = version.version if by_time or wanted.type == "anthropic" else version.id
        wire = ContainerSkill(type=wanted.type, skill_id=version.skill_id, version=named)
        shown.append(TurnSkill(version.name, version.description, wire))
    return NamedSkills(tuple(shown), tuple(versions))


async def _unknown(database: Database, workspace_id: str, number: int, wanted: SkillRequest) -> InvalidRequest:
    """The refusal, which says what of it there is not."""
    place = f"container.skills.{number}"
    listed = await skills.get(database, workspace_id, wanted.skill_id)
    if listed is None:
        return InvalidRequest(
            f"{place}.skill_id: Skill `{wanted.skill_id}` not found. GET /v1/skills lists those that there are."
        )
    if listed.skill.source != wanted.type:
        return InvalidRequest(
            f"{place}.type: Skill `{wanted.skill_id}` is of the type `{listed.skill.source}`, not `{wanted.type}`."
        )
    if listed.skill.latest_version_id is None:
        return InvalidRequest(f"{place}.version: Skill `{wanted.skill_id}` has no version; upload one.")
    return InvalidRequest(
        f"{place}.version: Skill `{wanted.skill_id}` has no version `{wanted.version}`. "
        f"GET /v1/skills/{wanted.skill_id}/versions lists those that it has; `latest` is the newest."
    )
