"""The SDK's own loop over tools that the code of a model calls. Prints every message and every call."""

import json
import os
import sys
import time
from typing import Any

from anthropic import Anthropic
from anthropic.lib.tools import BetaFunctionTool

NEWEST = os.environ["SDK_GENERATION"] != "1"
calls: list[Any] = []


class CodeTool(BetaFunctionTool[Any]):
    """A tool for code: this SDK's own decorator may not know of callers yet."""

    def to_dict(self) -> Any:
        return {**super().to_dict(), "allowed_callers": [os.environ.get("CALLER", "code_execution_20260120")]}


def get_weather(city: str) -> str:
    """The weather of a city, as JSON {"c": degrees}."""
    calls.append(["get_weather", city])
    return json.dumps({"c": {"Oslo": 4, "Rome": 19, "Cairo": 28, "Lima": 17, "Delhi": 31}[city]})


def add(a: int, b: int) -> str:
    """The sum of two numbers."""
    calls.append(["add", a, b])
    return str(a + b)


def fail(reason: str) -> str:
    """Never works."""
    calls.append(["fail", reason])
    raise RuntimeError(reason)


def slow(seconds: float) -> str:
    """Takes its time."""
    calls.append(["slow", seconds])
    time.sleep(seconds)
    return "late"


client: Any = Anthropic()
tools: list[Any] = [CodeTool(function) for function in (get_weather, add, fail, slow)]
if NEWEST:
    # The runner of 0.75 takes functions only; the tool is then provided by itself.
    tools.append({"type": os.environ.get("TOOL", "code_execution_20260120"), "name": "code_execution"})
streaming = os.environ["STREAM"] == "1"
runner = client.beta.messages.tool_runner(
    model=os.environ["MODEL"],
    max_tokens=4096,
    messages=[{"role": "user", "content": sys.argv[1]}],
    tools=tools,
    betas=os.environ.get("BETAS", "").split(),
    stream=streaming,
)
messages = []
for item in runner:
    message = item.get_final_message() if streaming else item
    messages.append(message.to_dict(mode="json"))
    if not NEWEST and message.container is not None:
        # Later runners take up the container by themselves.
        container = message.container.id
        runner.set_messages_params(lambda params, container=container: {**params, "container": container})
json.dump({"messages": messages, "calls": calls}, sys.stdout)
