"""``bathysphere demo``: the product in under a minute, through the official SDK."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.rule import Rule

from bathysphere.settings import default_data_directory
from bathysphere.store import keys, workspaces
from bathysphere.store.database import Database, DatabaseError

if TYPE_CHECKING:
    import anthropic

_TOOL: Final[Any] = {"type": "code_execution_20250825", "name": "code_execution"}
_MODEL: Final = "claude-sonnet-4-5"  # any name will do: the demo model answers to all of them
_END_SECONDS: Final = 60

_CSV: Final = """\
month,visitors,tickets,revenue
2026-01,1820,1410,19740.50
2026-02,2010,1602,22428.00
2026-03,2555,2118,29652.00
2026-04,3120,2671,37394.00
2026-05,3398,2904,40656.00
2026-06,4015,3560,49840.00
2026-07,4870,4391,61474.00
2026-08,4660,4127,57778.00
2026-09,3544,3010,42140.00
2026-10,2790,2288,32032.00
"""


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Data directory of the server that is started.")
def demo(data: Path | None) -> None:
    """Three conversations through the official SDK, against a server that is started for them."""
    console = Console(highlight=False, soft_wrap=True)
    directory = (data or default_data_directory()).absolute()
    console.print(
        "[bold]bathysphere[/] runs the code that a model writes in a sealed container on this machine.\n"
        "You will see three conversations of the official [bold]anthropic[/] package with a server of your own.\n"
        "[yellow]No language model is connected:[/] the demo model only knows these examples. "
        "The container, the code that runs in it and its results are real.\n"
    )
    with _key(directory) as key, _server(directory) as url_of:
        import anthropic  # noqa: PLC0415 - takes a second or two, in which the server starts

        with anthropic.Anthropic(api_key=key, base_url=url_of()) as client:
            _play(console, directory, client)
    console.print(
        "\nNext:\n"
        "  make serve                the server, on http://127.0.0.1:8321; it prints a key\n"
        "  README.md                 a client in Python, TypeScript and curl, and how to connect a real model\n"
        "  .venv/bin/bathysphere --help\n",
        markup=False,
    )


def _play(console: Console, directory: Path, client: anthropic.Anthropic) -> None:
    console.print(Rule("1  A calculation"))
    _converse(console, client, "Calculate the mean and standard deviation of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]")

    console.print(Rule("2  A file goes in, a chart comes out"))
    uploaded = client.beta.files.upload(file=("museum.csv", _CSV.encode(), "text/csv"))
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
    console.print(f"container   {first.container.id}  (until {first.container.expires_at:%Y-%m-%d})")
    for path in saved:
        console.print(f"saved       {path}  ({path.stat().st_size:,} bytes)")
    console.print(f"data        {directory}")


def _converse(console: Console, client: anthropic.Anthropic, content: Any, container: str | None = None) -> Any:
    """One request, streamed into the terminal as it comes; gives the whole message."""
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
        for event in stream:
            if event.type == "text":
                console.print(event.text, end="", markup=False, soft_wrap=True)
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
        console.print(_indented(what), style="dim", markup=False)
    elif block["type"].endswith("_tool_result"):
        result = block["content"]
        shown = (
            result.get("stdout")
            or result.get("stderr")
            or json.dumps({name: value for name, value in result.items() if name != "type"})
        )
        console.print("[blue]result[/] ", end="")
        console.print(_indented(shown.rstrip()), markup=False)
    elif block["type"] == "text":
        console.print()


def _indented(text: str) -> str:
    lines = text.splitlines()
    if len(lines) > 14:
        lines = [*lines[:12], f"... {len(lines) - 12} more lines"]
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
def _key(directory: Path) -> Iterator[str]:
    """A key for the time of the demo."""

    async def create() -> tuple[keys.ApiKey, str]:
        async with _database(directory) as database:
            return await keys.create(database, await workspaces.default(database), "demo")

    async def disable(key: keys.ApiKey) -> None:
        async with _database(directory) as database:
            await keys.disable(database, key.id)

    try:
        made, secret = asyncio.run(create())
    except DatabaseError as error:
        raise click.ClickException(str(error)) from error
    try:
        yield secret
    finally:
        asyncio.run(disable(made))


@asynccontextmanager
async def _database(directory: Path) -> AsyncIterator[Database]:
    database = await Database.open(directory)
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def _server(directory: Path) -> Iterator[Callable[[], str]]:
    """A server with the demo model on a free port, for the time of the demo; called, it waits and gives the URL."""
    with tempfile.TemporaryDirectory(prefix="bathysphere-demo-") as folder:
        config = Path(folder) / "bathysphere.toml"
        config.write_text('[[models]]\nmatch = "*"\nbackend = "demo"\n', encoding="utf-8")
        log = Path(folder) / "server.log"
        with log.open("wb") as complaints:
            process = subprocess.Popen(
                [sys.executable, "-m", "bathysphere", "serve", "--port", "0", "--data", directory, "--config", config],
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            )
        try:
            yield lambda: _url(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=_END_SECONDS)


def _url(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"listens on (\S+)", line):
            return found[1]
    raise click.ClickException("The server did not start: " + log.read_text("utf-8").strip().removeprefix("Error: "))
