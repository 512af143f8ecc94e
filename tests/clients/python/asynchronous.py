"""The asynchronous client: several conversations at once, streaming, files."""

import asyncio
import io
import json
import sys
from typing import Any

from anthropic import AsyncAnthropic

REQUEST = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 4096,
    "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
}


def question(prompt: str) -> list[Any]:
    return [{"role": "user", "content": prompt}]


async def streamed(client: Any, prompt: str) -> Any:
    async with client.beta.messages.stream(messages=question(prompt), **REQUEST) as stream:
        return await stream.get_final_message()


async def main() -> None:
    async with AsyncAnthropic() as client:
        api: Any = client
        asked = [
            api.beta.messages.create(messages=question(f"```bash\necho number {number}\n```"), **REQUEST)
            for number in range(3)
        ]
        answers = await asyncio.gather(*asked, streamed(api, "```bash\necho number 3\n```"))

        uploaded = await api.beta.files.upload(file=("words.txt", io.BytesIO(b"three short words")))
        upload = {"type": "container_upload", "file_id": uploaded.id}
        text = {"type": "text", "text": '```bash\nwc -w < "$INPUT_DIR/words.txt" | tee "$OUTPUT_DIR/count.txt"\n```'}
        counted = await api.beta.messages.create(messages=[{"role": "user", "content": [text, upload]}], **REQUEST)
        produced = [
            file.file_id
            for block in counted.content
            if block.type == "bash_code_execution_tool_result"
            for file in block.content.content
        ]
        download = await api.beta.files.download(produced[0])
        listed = [file.id async for file in api.beta.files.list(limit=2)]
        deleted = await api.beta.files.delete(uploaded.id)
        json.dump(
            {
                "answers": [answer.to_dict(mode="json") for answer in answers],
                "counted": counted.to_dict(mode="json"),
                "downloaded": (await download.read()).decode(),
                "uploaded_was_listed": uploaded.id in listed,
                "deleted": deleted.id == uploaded.id,
            },
            sys.stdout,
        )


asyncio.run(main())
