"""The SDK's own loop over a plain client tool."""

import json
import os
import sys
from typing import Any

from anthropic import Anthropic, beta_tool

cities: list[str] = []


@beta_tool
def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: its name
    """
    cities.append(city)
    return f"Sunny in {city}"


client: Any = Anthropic()
tools: list[Any] = [get_weather]
if os.environ["SDK_GENERATION"] != "1":
    # The runner of 0.75 takes functions only.
    tools.append({"type": "code_execution_20250825", "name": "code_execution"})
runner = client.beta.messages.tool_runner(
    model=os.environ.get("MODEL", "claude-sonnet-4-5"),
    max_tokens=1024,
    system="Be brief.",
    messages=[{"role": "user", "content": "What is the weather in Oslo and in Rome?"}],
    tools=tools,
)
messages = [message.to_dict(mode="json") for message in runner]
json.dump({"messages": messages, "cities": cities}, sys.stdout)
