"""The client's tools as async functions among a cell's variables (WIRE h.2)."""

import asyncio
import inspect
import json

from .. import arguments
from .bridge import Bridge
from .loops import Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    Function = Callable[..., Coroutine[Any, Any, str]]

_get_running_loop = asyncio.get_running_loop
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class Functions:
    """Those that were put among the variables, so that they can be taken away again."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._made: dict[tuple[str, tuple[str, ...], str], Function] = {}
        self._placed: dict[str, Function] = {}

    def place(self, declared: "list[dict[str, Any]]", variables: dict[str, object]) -> None:
        """Make ``variables`` hold the functions of the declared tools, and no others of an earlier cell."""
        for name, function in self._placed.items():
            if variables.get(name) is function:
                del variables[name]
        self._placed = {}
        made, self._made = self._made, {}
        taken = {tool["name"] for tool in declared}
        for tool in declared:
            name = tool["name"]
            if not name.isidentifier():
                name = cleaned(name)
                if name in taken:
                    continue
                taken.add(name)
            key = (tool["name"], tuple(tool["parameters"]), tool["documentation"])
            function = self._made[key] = made.get(key) or self._make(name, *key)
            variables[name] = self._placed[name] = function

    def is_ours(self, name: str, value: object) -> bool:
        """Whether a variable holds a function of this."""
        return self._placed.get(name) is value

    def _make(self, identifier: str, tool: str, parameters: tuple[str, ...], documentation: str) -> "Function":
        bridge = self._bridge
        own = self

        async def function(*positional: object, **named: object) -> str:
            text = _text(_bound(identifier, parameters, positional, named), identifier)
            if not any(made is function for made in own._placed.values()):
                raise NameError(f"{identifier}() is not among the tools of this cell")
            loop = _get_running_loop()
            return await bridge.call(tool, text, loop, isinstance(loop, Loop))

        function.__name__ = function.__qualname__ = identifier
        function.__module__ = "__main__"
        function.__doc__ = documentation or None
        shown = [name for name in dict.fromkeys(parameters) if name.isidentifier() and not is_keyword(name)]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(name, kind, default=_LEFT_OUT) for name in shown], return_annotation=str
        )
        return function


class _LeftOut:
    def __repr__(self) -> str:
        return "..."


_LEFT_OUT = _LeftOut()


def is_keyword(name: str) -> bool:
    """Whether no parameter can have this name."""
    import keyword  # noqa: PLC0415  (inspect has it)

    return keyword.iskeyword(name)


def cleaned(name: str) -> str:
    """An identifier for a tool whose name is none."""
    name = "".join(character if f"a{character}".isidentifier() else "_" for character in name)
    return name if name.isidentifier() else f"_{name}"


def _bound(
    identifier: str, parameters: tuple[str, ...], positional: tuple[object, ...], named: dict[str, object]
) -> "dict[object, object]":
    """One dict out of what a function was called with. Raises TypeError."""
    if len(positional) == 1 and isinstance(positional[0], dict):
        values = dict(positional[0])
    elif len(positional) > len(parameters):
        raise TypeError(
            f"{identifier}() takes a dict of arguments, or at most {len(parameters)} positional arguments "
            f"({', '.join(parameters)}), but {len(positional)} were given"
        )
    else:
        values = dict(zip(parameters, positional, strict=False))
    for name, value in named.items():
        if name in values:
            raise TypeError(f"{identifier}() got more than one value for {name!r}")
        values[name] = value
    return values


def _text(values: "dict[object, object]", identifier: str) -> bytes:
    """The arguments as JSON. Raises TypeError when they cannot be, ValueError when a bound is broken."""
    for name in values:
        if not isinstance(name, str):
            raise TypeError(f"{identifier}(): the name of an argument is {name!r}, which is no text")
    try:
        text = _encode(values).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{identifier}(): the arguments cannot be written as JSON: {error}") from None
    try:
        arguments.check(text)
    except arguments.Unfit as unfit:
        kind = ValueError if len(text) > arguments.LONGEST else TypeError
        raise kind(f"{identifier}(): {unfit}") from None
    return text
