"""Skills in a turn: what a request may say of them, what the model is told, what the answer says (WIRE c.2, c.3, g)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from bathysphere.settings import SandboxLimits, Settings
from bathysphere.turn.checks import check
from bathysphere.turn.fold import fold_events
from bathysphere.turn.loop import Turn
from bathysphere.turn.skills import TurnSkill, container_wire
from bathysphere.turn.system_text import system_text
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.events import MessageDelta, event_wire
from bathysphere.wire.message import ContainerSkill
from bathysphere.wire.tools import VERSIONS
from tests.turn.conversation import BASH_TOOL, PYTHON_TOOL, request, user
from tests.turn.fakes import ScriptedModel, TableHost, container

PDF = {"type": "anthropic", "skill_id": "pdf", "version": "20251013"}
OWN = {"type": "custom", "skill_id": "skill_01A"}
LIMITS = SandboxLimits()


def skill(name: str, description: str = "", skill_id: str = "") -> TurnSkill:
    wire = ContainerSkill(type="custom", skill_id=skill_id or f"skill_{name}", version="skver_1")
    return TurnSkill(name, description or f"Does {name}.", wire)


@pytest.mark.parametrize(
    ("skills", "place", "complaint"),
    [
        ([{"type": "custom"}], ("container", "skills", 0, "skill_id"), "Field required"),
        ([PDF, {"skill_id": "x"}], ("container", "skills", 1, "type"), "Field required"),
        ([{"type": "anthropic_example", "skill_id": "x"}], ("container", "skills", 0, "type"), "Input should be"),
        ([{**OWN, "skill_id": ""}], ("container", "skills", 0, "skill_id"), "at least 1 character"),
        ([{**OWN, "skill_id": "x" * 65}], ("container", "skills", 0, "skill_id"), "at most 64 characters"),
        ([{**OWN, "version": 3}], ("container", "skills", 0, "version"), "valid string"),
        ([{**OWN, "name": "x"}], ("container", "skills", 0, "name"), "Extra inputs are not permitted"),
        ([{**OWN, "skill_id": f"s{n}"} for n in range(21)], ("container", "skills"), "at most 20 items"),
        ("pdf", ("container", "skills"), "valid list"),
    ],
)
def test_what_is_no_list_of_skills_is_refused_with_its_place(
    skills: Any, place: tuple[Any, ...], complaint: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        request(user("hi"), container={"skills": skills})
    first = caught.value.errors()[0]
    assert first["loc"] == place
    assert complaint in first["msg"]


@pytest.mark.parametrize("version", [{}, {"version": None}, {"version": "latest"}])
def test_the_newest_version_is_meant_when_none_is_named(version: dict[str, Any]) -> None:
    body = request(user("hi"), container={"skills": [OWN | version]})
    assert body.container is not None
    assert body.container.skills is not None
    assert body.container.skills[0].version == "latest"


@pytest.mark.parametrize("tools", [[], None, [{"name": "own", "input_schema": {"type": "object"}}]])
def test_without_the_tool_nobody_could_read_them(tools: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^container\.skills: .*code execution tool.*code_execution_20260521"):
        check(request(user("hi"), tools=tools, container={"skills": [PDF]}))
    check(request(user("hi"), tools=tools, container={"skills": []}))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_of_the_tool_will_do(version: str) -> None:
    tool = {"type": version, "name": "code_execution"}
    assert check(request(user("hi"), tools=[tool], container={"skills": [PDF, OWN]})).version is VERSIONS[version]


def test_a_skill_is_named_once() -> None:
    with pytest.raises(InvalidRequest, match=r"^container\.skills\.2\.skill_id: `pdf` is container\.skills\.0 already"):
        check(request(user("hi"), tools=[BASH_TOOL], container={"skills": [PDF, OWN, PDF | {"version": "latest"}]}))
    check(request(user("hi"), tools=[BASH_TOOL], container={"skills": [PDF, PDF | {"type": "custom"}]}))


def test_the_model_is_told_the_same_in_whatever_order_they_came() -> None:
    version = VERSIONS["code_execution_20250825"]
    skills = [skill("pdf", "Reads\n\n and fills {forms}."), skill("charts"), skill("letters")]
    texts = {system_text(version, LIMITS, order) for order in itertools.permutations(skills)}
    (text,) = texts
    assert text.startswith(system_text(version, LIMITS))
    assert (
        "- /skills/charts: Does charts.\n- /skills/letters: Does letters.\n- /skills/pdf: Reads and fills {forms}.\n"
        in text
    )
    assert "cat /skills/NAME/SKILL.md" in text
    assert 'open("/skills/NAME/SKILL.md")' in system_text(VERSIONS["code_execution_20250522"], LIMITS, skills)
    assert "/skills" not in system_text(version, LIMITS)


def test_what_the_model_is_told_is_bounded() -> None:
    version = VERSIONS["code_execution_20250825"]
    skills = [skill(f"s{number}", "long " * 10_000) for number in range(20)]
    assert len(system_text(version, LIMITS, skills)) < 20 * 1100 + 5000


async def test_the_answer_names_them_in_the_order_of_the_request() -> None:
    body = request(user("hi"), tools=[PYTHON_TOOL], container={"skills": [PDF, OWN]})
    model = ScriptedModel([("code_execution", '{"code": "1"}')], ["done"])
    made = container(TableHost())
    skills = [skill("pdf"), skill("charts")]

    async def opened() -> Any:
        return made

    used = container_wire(made, skills)
    turn = Turn(body, check(body), model, opened, Settings(), filenames={}, container_used=used, skills=skills)
    events = [event async for event in turn.events()]
    said = [
        {"type": "custom", "skill_id": "skill_pdf", "version": "skver_1"},
        {"type": "custom", "skill_id": "skill_charts", "version": "skver_1"},
    ]
    assert fold_events(events).wire()["container"]["skills"] == said
    (delta,) = (event for event in events if isinstance(event, MessageDelta))
    assert event_wire(delta)["delta"]["container"]["skills"] == said
    assert "/skills/charts" in str(model.requests[0].system)
    assert model.requests[0].system == model.requests[1].system


async def test_where_there_are_none_the_answer_is_as_it_was() -> None:
    assert set(container_wire(container(TableHost()), []).model_dump(mode="json")) == {"id", "expires_at"}
