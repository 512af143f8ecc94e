"""Skills in turns, through the SDKs: read and run by a model, exchanged between requests, told in the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.asking import ask, post, question
from tests.clients.conftest import Upstreams
from tests.clients.environments import PYTHON, PYTHON_1, Sdk
from tests.clients.scripted_model import check_history
from tests.models.scripted_upstream import Call, Failure, Say, Turn
from tests.seeds import expectations

LOOK = "ls /skills; cat /skills/reports/SKILL.md /skills/charts/SKILL.md 2> /dev/null | tail -n 1; {} 2 3"
SCRIPT = "/skills/{}/scripts/add.sh"


def reader(body: dict[str, Any]) -> Turn | Failure:
    """Looks at the skill that it is asked about, as it is told to, and answers with what it has seen."""
    results = check_history(body)
    words = str(body["messages"])
    if results:
        if "weather" in words and len(results) == 1:
            return Turn(Call("get_weather", {"city": "Oslo"}, id="toolu_oslo"))
        return Turn(Say(" | ".join(results)))
    name = "charts" if "Look at charts" in words else "reports"
    # Only what the model was told of, except where files are to be there although it was told nothing.
    assert f"/skills/{name}: What {name} is for." in str(body) or "/skills/" not in str(body)
    return Turn(Call("bash_code_execution", {"command": LOOK.format(SCRIPT.format(name))}, id="toolu_look"))


@pytest.mark.parametrize("sdk", PYTHON, ids=str)
def test_a_custom_skill(upstreams: Upstreams, backend: str, tmp_path: Path, sdk: Sdk) -> None:
    upstreams.upstream.respond = reader
    ran = environments.run(sdk, "skills", upstreams.server, tmp_path, [], {"MODEL": f"via-{backend}"})
    seen = [expectations.output(answer) for answer in ran["answers"]]
    assert seen == [
        "reports\nFirst text.\n5\n",
        "reports\nFirst text.\n5\n",
        "reports\nSecond text.\n5\n",
        "reports\nFirst text.\n5\n",
        "charts\nreports\nOf charts.\n5\n",
        "charts\nreports\nOf charts.\n5\n",
    ]
    containers = [answer["container"] for answer in ran["answers"]]
    assert {container["id"] for container in containers} == {containers[0]["id"]}
    said = [
        [(skill["skill_id"], skill["version"]) for skill in container.get("skills") or []] for container in containers
    ]
    (first,), _, (second,), again, both, nothing = said
    assert first[0] == second[0] == ran["skill"]
    # As each generation of clients names a version (WIRE 0.3); either can be sent back.
    assert second[1] == (ran["second"]["version"] if sdk is PYTHON_1 else ran["second"]["id"])
    assert again == [first]
    assert [skill_id for skill_id, _version in both] == [ran["other"], ran["skill"]]
    assert nothing == []
    assert expectations.output(ran["streamed"]) == "reports\nSecond text.\n5\n"
    assert ran["streamed"]["container"]["skills"] == containers[2]["skills"]
    if ran["ran"]:
        asked, last = ran["ran"]
        assert asked["stop_reason"] == "tool_use"
        assert "Second text." in expectations.text(last)
        assert "Sunny in Oslo" in expectations.text(last)
        assert last["container"]["id"] == asked["container"]["id"]
        assert last["container"]["skills"] == asked["container"]["skills"]
    unknown, version = ran["refused"]
    assert unknown.startswith("container.skills.0.skill_id: Skill `skill_none` not found")
    assert version.startswith(f"container.skills.0.version: Skill `{ran['skill']}` has no version `1`")


def test_what_cannot_be_had_and_what_is_counted(upstreams: Upstreams, tmp_path: Path) -> None:
    upstreams.upstream.respond = reader
    ran = environments.run(PYTHON_1, "skills", upstreams.server, tmp_path, [], {"MODEL": "via-anthropic"})
    wanted = {"skills": [{"type": "custom", "skill_id": ran["skill"]}]}
    body = question("Look at reports", model="via-anthropic", container=wanted)
    refused = post(upstreams.server, "/v1/messages", body, upstreams.server.other_key)
    assert refused.status == 400
    assert refused.json()["error"]["message"].startswith("container.skills.0.skill_id: Skill")
    assert ask(upstreams.server, "Look at reports", model="via-anthropic", container=wanted)["container"]["skills"]
    counts = []
    for container in (None, wanted):
        body_of_count = body | {"model": "via-openai", "container": container}
        del body_of_count["max_tokens"]
        counted = post(upstreams.server, "/v1/messages/count_tokens", body_of_count)
        counts.append(counted.json()["input_tokens"])
    assert counts[0] + 50 < counts[1], "their names and descriptions are told to the model"
    # Without the tool nobody could read them.
    refused = post(upstreams.server, "/v1/messages", body | {"tools": []})
    assert refused.status == 400
    assert "code execution tool" in refused.json()["error"]["message"]
