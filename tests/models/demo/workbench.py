"""Real tools in a temporary folder: what the demo model asks for is carried out by bash and written to disk."""

from __future__ import annotations

import asyncio
import difflib
import json
import os
import sys
from pathlib import Path
from typing import Any

from bathysphere.models.base import SampleRequest, UpstreamMessage
from bathysphere.models.demo import DemoModel
from tests.models.folding import Sampled, fold

BASH = {"name": "bash_code_execution", "input_schema": {"type": "object"}}
EDITOR = {"name": "text_editor_code_execution", "input_schema": {"type": "object"}}
CELL = {"name": "code_execution", "input_schema": {"type": "object"}}
SHELL_AND_EDITOR = [BASH, EDITOR]
PYTHON_ONLY = [CELL]


class Workbench:
    """Carries out tool calls and plays whole conversations with the demo model."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.inputs = folder / "input"
        self.temporary = folder / "tmp"
        for path in (self.home, self.inputs, self.temporary):
            path.mkdir()
        self._outputs = folder / "output"
        self._runs = 0
        self.calls: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []

    @property
    def output_files(self) -> dict[str, Path]:
        """Every file that a call left in its ``$OUTPUT_DIR``, by name."""
        return {path.name: path for path in sorted(self._outputs.glob("*/*"))}

    async def _program(self, *argv: str) -> dict[str, Any]:
        self._runs += 1
        output = self._outputs / str(self._runs)
        output.mkdir(parents=True)
        places = {"INPUT_DIR": self.inputs, "OUTPUT_DIR": output, "TMPDIR": self.temporary, "HOME": self.home}
        environment = {name: str(path) for name, path in places.items()}
        # The interpreter that runs the tests has pandas and matplotlib, like the one in a container.
        environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment["MPLCONFIGDIR"] = str(self.temporary)
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=self.home,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await process.communicate()
        return {"stdout": stdout.decode(), "stderr": stderr.decode(), "return_code": process.returncode}

    def _edit(self, call: dict[str, Any]) -> dict[str, Any]:
        path = self.home / call["path"]
        match call["command"]:
            case "create":
                existed = path.exists()
                path.write_text(call["file_text"])
                return {"is_file_update": existed}
            case "view" if path.exists():
                lines = path.read_text().splitlines()
                counts = {"num_lines": len(lines), "start_line": 1, "total_lines": len(lines)}
                return {"file_type": "text", "content": "\n".join(lines), **counts}
            case "str_replace" if path.exists() and path.read_text().count(call["old_str"]) == 1:
                old = path.read_text()
                new = old.replace(call["old_str"], call["new_str"])
                path.write_text(new)
                lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm=""))[3:]
                return {"old_start": 1, "old_lines": 6, "new_start": 1, "new_lines": 6, "lines": lines}
            case _:
                return {"error_code": "file_not_found", "message": f"{call['path']} does not exist"}

    async def carry_out(self, call: dict[str, Any]) -> dict[str, Any]:
        """The tool_result of one tool_use, as a transcript shows it to a model."""
        given = call["input"]
        match call["name"]:
            case "bash_code_execution":
                data = await self._program("bash", "-c", given["command"])
            case "code_execution":
                data = await self._program(sys.executable, "-c", given["code"])
            case _:
                data = self._edit(given)
        result: dict[str, Any] = {
            "type": "tool_result",
            "tool_use_id": call["id"],
            "content": [{"type": "text", "text": json.dumps(data)}],
        }
        self.results.append(data)
        return result | ({"is_error": True} if "error_code" in data else {})

    async def converse(
        self,
        prompt: str,
        *,
        tools: list[dict[str, Any]] = SHELL_AND_EDITOR,
        uploads: dict[str, bytes] | None = None,
        before: list[UpstreamMessage] | None = None,
    ) -> Sampled:
        """Go on until the model ends its turn; its last sampling, ``text`` being that of the whole turn."""
        content: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
        for name, data in (uploads or {}).items():
            (self.inputs / name).write_bytes(data)
            told = f'The file "{name}" has been uploaded to the container at $INPUT_DIR/{name}.'
            content.append({"type": "text", "text": told})
        messages = [*(before or []), UpstreamMessage("user", content)]
        said = []
        while True:
            request = SampleRequest(model="demo", max_tokens=4096, messages=messages, tools=tools)
            sampled = await fold(DemoModel().sample(request))
            said.append(sampled.text)
            if sampled.stop_reason != "tool_use":
                sampled.content = [{"type": "text", "text": "\n\n".join(said)}]
                return sampled
            self.calls.extend(sampled.calls)
            results = [await self.carry_out(call) for call in sampled.calls]
            messages += [UpstreamMessage("assistant", sampled.content), UpstreamMessage("user", results)]
