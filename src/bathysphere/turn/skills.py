"""The skills of a turn, as the model is told of them (WIRE g)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bathysphere.containers.container import Container
from bathysphere.wire.message import Container as WireContainer
from bathysphere.wire.message import ContainerSkill
from bathysphere.wire.tools import ToolVersion

DESCRIPTION_CHARACTERS: Final = 1024
"""Of a description in the system text: as many as one may have when it is uploaded."""

_SKILLS: Final = """\
You have skills: folders of instructions, scripts and other material, each for one kind of task. They are in the \
container, and can be read and run there, but not changed. What each of them is for:
{skills}
When a task is one that a skill is for, read the SKILL.md in its folder before you begin{how}, and go by it. Paths \
that it names are relative to its folder. Read further files there only as it tells you to, and run its scripts as \
they are. What you make belongs into /home/user or $OUTPUT_DIR."""

_HOW: Final = {
    "bash_code_execution": " (cat /skills/NAME/SKILL.md)",
    "code_execution": ' (print(open("/skills/NAME/SKILL.md").read()))',
}


@dataclass(frozen=True, slots=True)
class TurnSkill:
    """A skill that the container of the turn has at ``/skills/<name>``."""

    name: str
    description: str
    wire: ContainerSkill


def container_wire(container: Container, skills: Sequence[TurnSkill]) -> WireContainer:
    """What the answer says of the container (WIRE c.3)."""
    given = [skill.wire for skill in skills] or None
    return WireContainer(id=container.id, expires_at=container.expires_at, skills=given)


def skills_text(skills: Iterable[TurnSkill], version: ToolVersion) -> str:
    """What the model is told: the same for the same skills, in whatever order they came, so that prompt caches hold."""
    lines = [
        f"- /skills/{skill.name}: {_line(skill.description)}" for skill in sorted(skills, key=lambda skill: skill.name)
    ]
    how = next((text for tool, text in _HOW.items() if tool in version.sub_tools), "")
    return _SKILLS.format(skills="\n".join(lines), how=how)


def _line(description: str) -> str:
    text = " ".join(description.split())
    return text if len(text) <= DESCRIPTION_CHARACTERS else f"{text[: DESCRIPTION_CHARACTERS - 1]}…"
