"""A custom skill through the SDK: uploaded, used, used again, exchanged; and the SDK's own loop with it."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from anthropic import Anthropic, BadRequestError, beta_tool
from anthropic.lib import files_from_dir

OLD = os.environ["SDK_GENERATION"] == "1"
client: Any = Anthropic()
skills: Any = client.beta.skills if OLD else client.skills
title = "display_title" if OLD else "display_name"
tool = {"type": "code_execution_20250825", "name": "code_execution"}
common: dict[str, Any] = {"model": os.environ["MODEL"], "max_tokens": 1024, "tools": [tool]}
if OLD:
    common["betas"] = ["code-execution-2025-08-25", "skills-2025-10-02"]


def folder(name: str, text: str) -> Any:
    place = Path(name)
    (place / "scripts").mkdir(parents=True, exist_ok=True)
    (place / "SKILL.md").write_text(f"---\nname: {name}\ndescription: What {name} is for.\n---\n{text}\n")
    script = place / "scripts" / "add.sh"
    script.write_text("#!/bin/sh\necho $(($1 + $2))\n")
    script.chmod(0o755)
    return files_from_dir(str(place))


def ask(words: str, container: Any) -> Any:
    message = client.beta.messages.create(messages=[{"role": "user", "content": words}], container=container, **common)
    return message.to_dict(mode="json")


@beta_tool
def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: its name
    """
    return f"Sunny in {city}"


first = skills.create(files=folder("reports", "First text."), **{title: f"Reports {os.urandom(4).hex()}"})
other = skills.create(files=folder("charts", "Of charts."), **{title: f"Charts {os.urandom(4).hex()}"})
wanted = {"type": "custom", "skill_id": first.id, "version": "latest"}
answers = [ask("Look at reports", {"skills": [wanted]})]
used = answers[0]["container"]["id"]
answers.append(ask("Look at reports", {"id": used, "skills": [wanted]}))
second = skills.versions.create(first.id, files=folder("reports", "Second text."))
answers.append(ask("Look at reports", {"id": used, "skills": [wanted]}))
answers.append(ask("Look at reports", {"id": used, "skills": answers[0]["container"]["skills"]}))
answers.append(ask("Look at charts", {"id": used, "skills": [{"type": "custom", "skill_id": other.id}, wanted]}))
answers.append(ask("Look at charts", used))

with client.beta.messages.stream(
    messages=[{"role": "user", "content": "Look at reports"}], container={"id": used, "skills": [wanted]}, **common
) as stream:
    streamed = stream.get_final_message().to_dict(mode="json")

tools: list[Any] = [get_weather]
if not OLD:
    # The runner of 0.75 takes functions only.
    tools.append(tool)
    runner = client.beta.messages.tool_runner(
        **(common | {"tools": tools}),
        messages=[{"role": "user", "content": "Look at reports, and at the weather"}],
        container={"skills": [wanted]},
    )
    ran = [message.to_dict(mode="json") for message in runner]
else:
    ran = []

refused = []
for container in ({"skills": [{"type": "custom", "skill_id": "skill_none"}]}, {"skills": [wanted | {"version": "1"}]}):
    try:
        ask("Look at reports", container)
    except BadRequestError as error:
        refused.append(error.body["error"]["message"])  # type: ignore[index]
json.dump(
    {
        "skill": first.id,
        "other": other.id,
        "second": second.to_dict(mode="json"),
        "answers": answers,
        "streamed": streamed,
        "ran": ran,
        "refused": refused,
    },
    sys.stdout,
)
