"""``bathysphere demo``: the product in a few seconds, through the official SDK."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.rule import Rule

from bathysphere.cli.program import program
from bathysphere.image.image import find

if TYPE_CHECKING:
    import anthropic

_TOOL: Final[Any] = {"type": "code_execution_20250825", "name": "code_execution"}
_MODEL: Final = "claude-opus-5"  # any name will do: the demo model answers to all of them
_END_SECONDS: Final = 60
_PROGRAM_LINES: Final = 8
_RESULT_LINES: Final = 11


@click.command()
def demo() -> None:
    """Three conversations through the official SDK, against a server that is started for them."""
    if find() is None:
        raise click.ClickException(
            f"There is no container image yet. Build it (once, some minutes) with: {program()} image build"
        )
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        "[bold]bathysphere[/] runs the code that a model writes in a sealed container on this machine.\n"
        "You will see three conversations of the official [bold]anthropic[/] package with a server of your own.\n"
        "[yellow]No language model is connected:[/] the demo model only knows these examples. "
        "The container, the code that runs in it and its results are real.\n\n"
        "[dim]Starting the server ...[/]"
    )
    # Everything the server keeps is below this folder, and goes with it.
    with (
        tempfile.TemporaryDirectory(prefix="bathysphere-demo-", ignore_cleanup_errors=True) as folder,
        _server(Path(folder)) as address,
    ):
        import anthropic  # noqa: PLC0415 - takes a second or two, in which the server starts

        url, key = address()
        with anthropic.Anthropic(api_key=key, base_url=url) as client:
            _play(console, client)
    console.print(
        "\nNext:\n"
        "  make serve     the server, on http://127.0.0.1:8321, with two lines to paste where your client runs\n"
        "  README.md      a client in Python, TypeScript and curl, and how to connect a real model\n"
        f"  {program()} --help\n",
        markup=False,
    )


def _play(console: Console, client: anthropic.Anthropic) -> None:
    console.print(Rule("1  A calculation"))
    _converse(console, client, "Calculate the mean and standard deviation of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]")

    console.print(Rule("2  A file goes in, a chart comes out"))
    uploaded = client.beta.files.upload(file=("museum.csv", _museum(), "text/csv"))
    console.print(f"[dim]uploaded museum.csv as {uploaded.id}[/]")
    analysed = _converse(
        console,
        client,
        [
            {"type": "text", "text": "Analyze this CSV data and draw a matplotlib chart"},
            {"type": "container_upload", "file_id": uploaded.id},
        ],
    )
    saved = _save_files(client, analysed)

    console.print(Rule("3  A container is used again"))
    first = _converse(console, client, "Write a file with a random number and save it to '/tmp/number.txt'")
    assert first.container is not None
    _converse(
        console,
        client,
        "Read the number from '/tmp/number.txt' and calculate its square",
        container=first.container.id,
    )

    console.print(Rule())
    days = round((first.container.expires_at - datetime.now(UTC)) / timedelta(days=1))
    for path in saved:
        console.print(f"saved       {path}  ({path.stat().st_size:,} bytes)", markup=False)
    console.print(
        f"container   {first.container.id}  (a server of yours keeps it for {days} days; this one was for show)"
    )


def _museum() -> bytes:
    return (resources.files("bathysphere.cli") / "museum.csv").read_bytes()


def _converse(console: Console, client: anthropic.Anthropic, content: Any, container: str | None = None) -> Any:
    """One request, streamed into the terminal as it comes; gives the whole message."""
    from bathysphere.models.demo.guidance import NOTICE  # noqa: PLC0415 - after the server has been started

    text = content if isinstance(content, str) else content[0]["text"]
    console.print(f"[bold cyan]you[/]    {text}")
    request: dict[str, Any] = {
        "model": _MODEL,
        "max_tokens": 4096,
        "tools": [_TOOL],
        "messages": [{"role": "user", "content": content}],
    }
    if container is not None:
        request["container"] = container
    with client.beta.messages.stream(**request) as stream:
        console.print("[bold green]model[/]  ", end="")
        opening = ""
        for event in stream:
            if event.type == "text":
                said = opening + event.text
                # What the model says of itself in each conversation has been said above, for all of them.
                opening = said if NOTICE.startswith(said) else ""
                if said.startswith(NOTICE):
                    said = said.removeprefix(NOTICE).lstrip()
                if not opening:
                    console.print(said, end="", markup=False, soft_wrap=True)
            elif event.type == "content_block_stop":
                _show(console, event.content_block.to_dict())
        console.print()
        return stream.get_final_message()


def _show(console: Console, block: dict[str, Any]) -> None:
    if block["type"] == "server_tool_use":
        given = block["input"]
        what = given.get("command", "")
        if block["name"] == "text_editor_code_execution":
            what = f"{what} {given.get('path', '')}"
        console.print("\n[dim]runs[/]   ", end="")
        console.print(_indented(what, _PROGRAM_LINES), style="dim", markup=False)
    elif block["type"].endswith("_tool_result"):
        result = block["content"]
        shown = (
            result.get("stdout")
            or result.get("stderr")
            or json.dumps({name: value for name, value in result.items() if name != "type"})
        )
        console.print("[blue]result[/] ", end="")
        console.print(_indented(shown.rstrip(), _RESULT_LINES), markup=False)
    elif block["type"] == "text":
        console.print()


def _indented(text: str, limit: int) -> str:
    lines = text.splitlines()
    if len(lines) > limit + 2:
        lines = [*lines[:limit], f"... {len(lines) - limit} more lines"]
    return "\n       ".join(lines)


def _save_files(client: anthropic.Anthropic, message: Any) -> list[Path]:
    """Download what the code produced into the current folder, under names that only a demo gives."""
    saved = []
    for block in message.content:
        if block.type != "bash_code_execution_tool_result" or block.content.type != "bash_code_execution_result":
            continue
        for output in block.content.content:
            name = Path(client.beta.files.retrieve_metadata(output.file_id).filename).name
            path = Path.cwd() / f"demo-{name}"
            client.beta.files.download(output.file_id).write_to_file(path)
            saved.append(path)
    return saved


@contextmanager
def _server(folder: Path) -> Iterator[Callable[[], tuple[str, str]]]:
    """A server with the demo model on a free port; called, it waits and gives the URL and a key."""
    config, log = folder / "bathysphere.toml", folder / "server.log"
    config.write_text('[[models]]\nmatch = "*"\nbackend = "demo"\n', encoding="utf-8")
    options = ["--port", "0", "--data", str(folder / "data"), "--config", str(config)]
    with log.open("wb") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", "bathysphere", "serve", *options],
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
    try:
        yield lambda: _address(process, log)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=_END_SECONDS)


def _address(process: subprocess.Popen[str], log: Path) -> tuple[str, str]:
    assert process.stdout is not None
    url = ""
    for line in process.stdout:
        if found := re.search(r"export (\w+)=(\S+)", line):
            if found[1] == "ANTHROPIC_API_KEY":
                return url, found[2]
            url = found[2]
    raise click.ClickException("The server did not start: " + log.read_text("utf-8").strip().removeprefix("Error: "))
