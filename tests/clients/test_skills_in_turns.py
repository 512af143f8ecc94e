"""Skills in turns, through the SDKs: read and run by a model, exchanged between requests, told in the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.batches import asking
from tests.clients import environments
from tests.clients.asking import ask, post, question, send
from tests.clients.conftest import BACKENDS, Upstreams
from tests.clients.environments import PYTHON, PYTHON_1, Sdk
from tests.clients.scripted_model import check_history
from tests.models.scripted_upstream import Call, Failure, Say, Turn
from tests.seeds import expectations
from tests.server import Server

LOOK = "ls /skills; cat /skills/reports/SKILL.md /skills/charts/SKILL.md 2> /dev/null | tail -n 1; {} 2 3"
SCRIPT = "/skills/{}/scripts/add.sh"
ONE = {"type": "custom", "version": "latest"}


def uploaded(server: Server) -> str:
    """The id of a new skill `reports`."""
    files = {
        "SKILL.md": "---\nname: reports\ndescription: What reports is for.\n---\nFirst text.\n",
        "scripts/add.sh": "#!/bin/sh\necho $(($1 + $2))\n",
    }
    parts = "".join(
        f'--edge\r\ncontent-disposition: form-data; name="files[]"; filename="reports/{path}"\r\n\r\n{text}\r\n'
        for path, text in files.items()
    )
    headers = [("x-api-key", server.key), ("content-type", "multipart/form-data; boundary=edge")]
    answer = send(server, "POST", "/v1/skills", headers, f"{parts}--edge--\r\n".encode())
    assert answer.status == 200, answer.body
    return str(answer.json()["id"])


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


@pytest.mark.parametrize(("sdk", "backend"), list(zip(PYTHON, BACKENDS, strict=True)), ids=str)
def test_a_custom_skill(upstreams: Upstreams, tmp_path: Path, sdk: Sdk, backend: str) -> None:
    upstreams.upstream.respond = reader
    ran = environments.run(sdk, "skills_in_turns", upstreams.server, tmp_path, [], {"MODEL": f"via-{backend}"})
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


def test_what_cannot_be_had_and_what_is_counted(upstreams: Upstreams) -> None:
    upstreams.upstream.respond = reader
    wanted = {"skills": [{"type": "custom", "skill_id": uploaded(upstreams.server)}]}
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


def test_code_that_waits_goes_on_with_its_skills(upstreams: Upstreams) -> None:
    """They are there before it goes on, and named in each of the messages that its calls end."""
    code = (
        "one = await get_weather({'city': 'Oslo'})\ntwo = await get_weather({'city': 'Rome'})\n"
        "print(open('/skills/reports/SKILL.md').read().split()[-2], one, two)"
    )

    def writer(body: dict[str, Any]) -> Turn | Failure:
        results = check_history(body)
        return Turn(Say(results[-1])) if results else Turn(Call("code_execution", {"code": code}, id="toolu_code"))

    upstreams.upstream.respond = writer
    skills = [{"type": "custom", "skill_id": uploaded(upstreams.server)}]
    weather = {
        "name": "get_weather",
        "input_schema": {"type": "object"},
        "allowed_callers": ["code_execution_20260120"],
    }
    tools = [{"type": "code_execution_20260120", "name": "code_execution"}, weather]
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Go"}]
    container: dict[str, Any] = {}
    for city in ("Oslo", "Rome", None):
        body = {"model": "via-anthropic", "max_tokens": 99, "tools": tools, "messages": messages}
        answer = post(upstreams.server, "/v1/messages", body | {"container": container | {"skills": skills}}).json()
        assert [skill["skill_id"] for skill in answer["container"]["skills"]] == [skills[0]["skill_id"]], answer
        if city is None:
            break
        assert answer["stop_reason"] == "tool_use"
        container = {"id": answer["container"]["id"]}
        call = answer["content"][-1]
        results = [{"type": "tool_result", "tool_use_id": call["id"], "content": city}]
        messages = [
            *messages,
            {"role": "assistant", "content": answer["content"]},
            {"role": "user", "content": results},
        ]
    assert '"stdout": "First Oslo Rome\\n"' in expectations.text(answer)


def test_in_a_batch(upstreams: Upstreams) -> None:
    upstreams.upstream.respond = reader
    skill = uploaded(upstreams.server)
    bodies = {
        skill_id: question(
            "Look at reports", model="via-anthropic", container={"skills": [{**ONE, "skill_id": skill_id}]}
        )
        for skill_id in (skill, "skill_none")
    }
    batch = asking.create(upstreams.server, [asking.request(name, body) for name, body in bodies.items()])
    asking.ended(upstreams.server, batch["id"])
    told = {line["custom_id"]: line["result"] for line in asking.results(upstreams.server, batch["id"])}
    assert expectations.output(told[skill]["message"]) == "reports\nFirst text.\n5\n"
    assert "Skill `skill_none` not found" in json.dumps(told["skill_none"])
