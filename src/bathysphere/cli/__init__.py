"""The command ``bathysphere``: one file per subcommand, imported only when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from bathysphere import __version__

# Name, and what the help says: the modules behind them take a second to import all together.
_COMMANDS: Final = {
    "serve": "Start the server.",
    "demo": "See it work: three conversations through the official SDK.",
    "doctor": "Try out whether this machine can isolate what models write.",
    "image": "Build and show the container image.",
    "containers": "List, show and delete containers, read what was done in them.",
    "skills": "Check, add, list and remove Agent Skills.",
    "keys": "Make, list and disable API keys and admin keys.",
    "usage": "Show what was used: requests, tokens, execution time, dollars.",
    "quotas": "Show, set and clear what organisations, workspaces and keys may use.",
    "workspaces": "List and archive workspaces, choose what keeps their containers.",
    "models": "Show which upstream a model's name reaches, and why.",
    "backup": "Make a backup of the data directory, while the server works.",
    "restore": "Put a backup into an empty data directory, or check one.",
    "host": "The host daemon; started by `serve`.",
}
_HIDDEN: Final = frozenset(("host",))


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in _COMMANDS if name not in _HIDDEN]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"bathysphere.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name]) for name in self.list_commands(ctx)])


@click.command(cls=_Lazy)
@click.version_option(__version__, prog_name="bathysphere")
def main() -> None:
    """The code execution tool of the Messages API, on your own machine, for any model."""
