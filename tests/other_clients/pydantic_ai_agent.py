"""Three questions to an agent with the code execution tool and a file; the file that the code wrote is saved.

Before the third question the container is deleted, so that the agent has to find out that it is gone.
"""

import asyncio
import json
import sys
from pathlib import Path

from anthropic import AsyncAnthropic
from pydantic_ai import Agent, ModelMessage
from pydantic_ai.capabilities import NativeTool
from pydantic_ai.messages import ModelResponse, NativeToolReturnPart, UploadedFile
from pydantic_ai.models.anthropic import AnthropicModelSettings
from pydantic_ai.native_tools import CodeExecutionTool

ask, ask_again, version = sys.argv[1:]


async def answer(agent: Agent, question: str, history: list[ModelMessage]) -> tuple[str, int, list[ModelMessage]]:
    async with agent.run_stream(question, message_history=history) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        return await result.get_output(), len(pieces), result.all_messages()


def container(history: list[ModelMessage]) -> str:
    response = history[-1]
    assert isinstance(response, ModelResponse)
    return response.provider_details["container_id"]


async def main() -> None:
    client = AsyncAnthropic()
    uploaded = await client.files.upload(file=("names.txt", b"one two three four five"))
    files = [UploadedFile(file_id=uploaded.id, provider_name="anthropic")]
    agent = Agent(
        "anthropic:claude-opus-5-5",
        capabilities=[NativeTool(CodeExecutionTool(files=files))],
        model_settings=AnthropicModelSettings(anthropic_code_execution_tool_version=version),
    )

    first, pieces, history = await answer(agent, ask, [])
    containers = [container(history)]
    parts = [part for message in history for part in message.parts]
    returns = [part.content for part in parts if isinstance(part, NativeToolReturnPart)]
    (file_id,) = [file["file_id"] for content in returns for file in content.get("content") or [] if "file_id" in file]
    name = (await client.files.retrieve_metadata(file_id)).filename
    Path(name).write_bytes(await (await client.files.download(file_id)).read())

    second, _, history = await answer(agent, ask_again, history)
    containers.append(container(history))
    await client.delete(f"/bathysphere/v1/containers/{containers[-1]}", cast_to=object)
    third, _, history = await answer(agent, ask_again, history)
    containers.append(container(history))
    print(json.dumps({"text": [first, second, third], "pieces": pieces, "file": name, "containers": containers}))


asyncio.run(main())
