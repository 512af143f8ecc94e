"""What can be said of a Python script without running it: that it compiles, and that its imports can be had."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator, Set
from typing import Final

PYTHON: Final = (3, 11)
"""The Python of a container."""

# Modules that need a network to be of any use.
_NETWORK: Final = frozenset(
    {"requests", "httpx", "aiohttp", "urllib3", "urllib.request", "http.client", "ftplib", "smtplib", "imaplib"}
)
# Of the standard library of 3.11, what later Pythons have no more, and what Debian does not bring along.
_GONE_LATER: Final = frozenset({"asynchat", "asyncore", "distutils", "imp", "smtpd"})
_NOT_IN_DEBIAN: Final = frozenset({"idlelib", "tkinter", "turtle", "turtledemo", "msvcrt", "winreg", "winsound"})
_STANDARD: Final = (frozenset(sys.stdlib_module_names) | _GONE_LATER) - _NOT_IN_DEBIAN
_CAUGHT: Final = frozenset({"ImportError", "ModuleNotFoundError", "Exception"})


def advise_python(source: str, importable: Set[str], own: Set[str]) -> Iterator[tuple[int | None, str]]:
    """Lines and what is to be said of them.

    ``importable``: the top-level modules that a container has beyond the standard library; ``own``: those that the
    skill brings itself.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, feature_version=PYTHON)
    except SyntaxError as error:
        yield error.lineno, f"is no Python {PYTHON[0]}.{PYTHON[1]}: {error.msg}"
        return
    except (ValueError, RecursionError, MemoryError) as error:
        yield None, f"is no Python {PYTHON[0]}.{PYTHON[1]}: {error or type(error).__name__}"
        return
    told: set[str] = set()
    for line, name in _imports(tree):
        top = name.partition(".")[0]
        if top in told or top in own:
            continue
        if top in _NETWORK or name in _NETWORK:
            told.add(top)
            yield line, f"imports {name}, and there is no network in a container"
        elif top not in _STANDARD and top not in importable:
            told.add(top)
            yield line, f"imports {top}, which containers do not have"


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Absolute imports that the script cannot do without, in the order of their lines."""
    waiting: list[ast.AST] = [tree]
    found: list[tuple[int, str]] = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append((node.lineno, node.module))
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Try) and any(_catches(handler) for handler in node.handlers):
            waiting += [*node.handlers, *node.orelse, *node.finalbody]
        elif not _only_for_types(node):
            waiting += ast.iter_child_nodes(node)
    return iter(sorted(found))


def _catches(handler: ast.ExceptHandler) -> bool:
    """Whether a handler takes an import that failed."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in _CAUGHT) for kind in kinds)


def _only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
