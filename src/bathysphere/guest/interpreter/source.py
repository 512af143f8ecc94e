"""A cell's text, made ready to run: as a notebook does, with ``await`` anywhere and the value of the last line."""

import _ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

_AWAIT = _ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_COROUTINE = 0x80  # CO_COROUTINE of inspect
_LASTING = 0x1000000  # CO_FUTURE_ANNOTATIONS: what a cell imports from __future__ holds for the next ones, too


class Compiled:
    """What is run one after the other, and whether the last one's value is shown."""

    def __init__(self, source: str, name: str, flags: int) -> None:
        """``flags`` are those of the cells before. Raises SyntaxError, ValueError and what else compile does."""
        tree = compile(source, name, "exec", flags | _AWAIT | _ast.PyCF_ONLY_AST, dont_inherit=True)
        last = tree.body[-1] if tree.body else None
        self.codes: list[CodeType] = []
        self.shown = isinstance(last, _ast.Expr) and not _ends_in_semicolon(source, last)
        if isinstance(last, _ast.Expr):
            tree.body.pop()
        if tree.body:
            code = compile(tree, name, "exec", flags | _AWAIT, dont_inherit=True)
            flags |= code.co_flags & _LASTING
            self.codes.append(code)
        if isinstance(last, _ast.Expr):
            expression = _ast.Expression(last.value)
            self.codes.append(compile(expression, name, "eval", flags | _AWAIT, dont_inherit=True))
        self.flags = flags

    @property
    def waits(self) -> bool:
        """Whether it has to run in an event loop."""
        return any(code.co_flags & _COROUTINE for code in self.codes)


def is_coroutine(code: "CodeType") -> bool:
    """Whether running it gives a coroutine."""
    return bool(code.co_flags & _COROUTINE)


def _ends_in_semicolon(source: str, last: _ast.Expr) -> bool:
    lines = source.encode(errors="surrogatepass").splitlines()
    if last.end_lineno is None or last.end_col_offset is None or last.end_lineno > len(lines):
        return False
    rest = lines[last.end_lineno - 1][last.end_col_offset :]
    return rest.lstrip(b" \t)").startswith(b";")
