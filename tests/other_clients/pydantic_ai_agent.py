"""Two questions to an agent with the code execution tool; the file that the code wrote is saved.

With a third question, the container is deleted before it is asked.
"""

import asyncio
import json
import sys
from pathlib import Path

from anthropic import AsyncAnthropic
from pydantic_ai import Agent, ModelMessage
from pydantic_ai.capabilities import NativeTool
from pydantic_ai.messages import ModelResponse, NativeToolReturnPart
from pydantic_ai.models.anthropic import AnthropicModelSettings
from pydantic_ai.native_tools import CodeExecutionTool

ask, ask_again, version = sys.argv[1:4]

agent = Agent(
    "anthropic:claude-opus-5-5",
    capabilities=[NativeTool(CodeExecutionTool())],
    model_settings=AnthropicModelSettings(anthropic_code_execution_tool_version=version),
)


async def answer(question: str, history: list[ModelMessage]) -> tuple[str, int, list[ModelMessage]]:
    async with agent.run_stream(question, message_history=history) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        return await result.get_output(), len(pieces), result.all_messages()


def container(history: list[ModelMessage]) -> str:
    response = history[-1]
    assert isinstance(response, ModelResponse)
    return response.provider_details["container_id"]


async def main() -> None:
    client = AsyncAnthropic()
    first, pieces, history = await answer(ask, [])
    containers = [container(history)]
    parts = [part for message in history for part in message.parts]
    returns = [part.content for part in parts if isinstance(part, NativeToolReturnPart)]
    (file_id,) = [file["file_id"] for content in returns for file in content.get("content") or [] if "file_id" in file]
    name = (await client.files.retrieve_metadata(file_id)).filename
    Path(name).write_bytes(await (await client.files.download(file_id)).read())

    second, _, history = await answer(ask_again, history)
    containers.append(container(history))
    texts = [first, second]
    if len(sys.argv) > 4:
        await client.delete(f"/bathysphere/v1/containers/{containers[-1]}", cast_to=object)
        third, _, history = await answer(sys.argv[4], history)
        texts.append(third)
        containers.append(container(history))
    print(json.dumps({"text": texts, "pieces": pieces, "file": name, "containers": containers}))


asyncio.run(main())
