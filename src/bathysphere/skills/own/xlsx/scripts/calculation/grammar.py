"""Formulas as trees: tuples that begin with the kind of the node."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from .values import ERRORS, Unsupported

LONGEST = 8192
DEEPEST = 64
LAST_ROW, LAST_COLUMN = 1_048_576, 16_384

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![A-Za-z_0-9:]))
  | (?P<text>"(?:[^"]|"")*")
  | (?P<error>\#(?:DIV/0!|N/A|NAME\?|NULL!|NUM!|REF!|VALUE!))
  | (?P<sheet>'(?:[^']|'')+'!|[^\W\d][\w.]*!)
  | (?P<range>\$?[A-Za-z]{1,3}\$?\d+:\$?[A-Za-z]{1,3}\$?\d+(?![\w(.])|\$?[A-Za-z]{1,3}:\$?[A-Za-z]{1,3}(?![\w(.])
             |\$?\d+:\$?\d+(?![\w(.]))
  | (?P<cell>\$?[A-Za-z]{1,3}\$?\d{1,7}(?![\w(.\[!]))
  | (?P<function>[A-Za-z_][\w.]*\()
  | (?P<table>[^\W\d][\w.]*\[(?:[^\[\]]|\[[^\[\]]*\])*\])
  | (?P<name>[^\W\d][\w.]*|\\[\w.]+)
  | (?P<operator><=|>=|<>|[-+*/^&=<>%(),;:{}@\#])
    )""",
    re.VERBOSE,
)
_PART = re.compile(r"\$?([A-Za-z]{0,3})\$?(\d{0,7})")
_BINDING = {"=": 1, "<": 1, ">": 1, "<=": 1, ">=": 1, "<>": 1, "&": 2, "+": 3, "-": 3, "*": 4, "/": 4, "^": 5}

Node = tuple[Any, ...]


@lru_cache(maxsize=2048)
def column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def tokens(formula: str) -> list[tuple[str, str]]:
    if len(formula) > LONGEST:
        raise Unsupported(f"a formula of more than {LONGEST} characters")
    found, place = [], 0
    formula = formula.rstrip()
    while place < len(formula):
        match = _TOKEN.match(formula, place)
        if match is None and formula[place] == "[":
            raise Unsupported("a table reference without the table's name; write Sales[@[Units]]")
        if match is None:
            raise Unsupported(f"the notation at {formula[place : place + 20]!r}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        place = match.end()
    return found


def parse(formula: str) -> Node:
    """The tree of a formula without its "="."""
    return _Parser(tokens(formula)).whole()


def area(text: str) -> tuple[int, int, int, int]:
    """First row, first column, last row, last column of ``B2``, ``A1:C9``, ``A:B`` or ``1:3``."""
    first, _, second = text.partition(":")
    rows, columns = [], []
    for part in (first, second or first):
        match = _PART.fullmatch(part)
        if match is None:
            raise Unsupported(f"the reference {text!r}")
        columns.append(column_number(match[1]) if match[1] else 0)
        rows.append(int(match[2]) if match[2] else 0)
    row1, row2 = sorted(rows) if rows[0] else (1, LAST_ROW)
    column1, column2 = sorted(columns) if columns[0] else (1, LAST_COLUMN)
    if not 0 < row1 <= row2 <= LAST_ROW or not 0 < column1 <= column2 <= LAST_COLUMN:
        raise Unsupported(f"the reference {text!r}")
    return row1, column1, row2, column2


class _Parser:
    def __init__(self, found: list[tuple[str, str]]) -> None:
        self.found = found
        self.place = 0
        self.depth = 0

    def peek(self) -> tuple[str, str]:
        return self.found[self.place] if self.place < len(self.found) else ("end", "")

    def take(self, wanted: str = "") -> tuple[str, str]:
        token = self.peek()
        if wanted and token[1] != wanted:
            raise Unsupported(f"{token[1] or 'the end'} where {wanted} is expected")
        self.place += 1
        return token

    def whole(self) -> Node:
        node = self.expression(0)
        if self.peek()[0] != "end":
            raise Unsupported(f"the notation at {self.peek()[1]!r}")
        return node

    def expression(self, least: int) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unsupported(f"a formula nested deeper than {DEEPEST}")
        left = self.prefixed()
        while (binding := _BINDING.get(self.peek()[1], 0) if self.peek()[0] == "operator" else 0) > least:
            operator = self.take()[1]
            left = ("binary", operator, left, self.expression(binding))
        self.depth -= 1
        return left

    def prefixed(self) -> Node:
        # A sign binds closer than "^": -2^2 is 4.
        signs = []
        while self.peek()[0] == "operator" and self.peek()[1] in "+-@":
            signs.append(self.take()[1])
            if len(signs) > DEEPEST:
                raise Unsupported("a row of signs")
        node = self.single()
        while self.peek() == ("operator", "%"):
            self.take()
            node = ("percent", node)
        for sign in reversed(signs):
            if sign == "@":
                raise Unsupported("the operator @")
            node = ("negative", node) if sign == "-" else node
        return node

    def single(self) -> Node:
        which, text = self.take()
        if which == "number":
            return ("value", float(text) if re.search("[.eE]", text) else int(text))
        if which == "text":
            return ("value", text[1:-1].replace('""', '"'))
        if which == "error":
            return ("error", ERRORS[text])
        if which == "sheet":
            sheet = text[1:-2].replace("''", "'") if text[0] == "'" else text[:-1]
            which, text = self.take()
            if which not in ("cell", "range"):
                raise Unsupported(f"the reference {sheet}!{text}")
            return ("area", sheet, *area(text))
        if which in ("cell", "range"):
            return ("area", None, *area(text))
        if which == "table":
            return ("table", text)
        if which == "function":
            return self.call(text[:-1].upper())
        if which == "name":
            return ("value", text.upper() == "TRUE") if text.upper() in ("TRUE", "FALSE") else ("name", text)
        if text == "(":
            node = self.expression(0)
            self.take(")")
            return node
        if text == "{":
            return self.constants()
        raise Unsupported(f"the notation at {text!r}" if text else "a formula that ends too early")

    def call(self, name: str) -> Node:
        name = name.removeprefix("_XLFN.").removeprefix("_XLWS.")
        arguments: list[Node] = []
        while True:
            if self.peek()[1] in (",", ")"):
                arguments.append(("missing",))
            else:
                arguments.append(self.expression(0))
            if self.take()[1] == ")":
                break
            if self.found[self.place - 1][1] != ",":
                raise Unsupported(f"the arguments of {name}")
        if arguments == [("missing",)]:
            arguments = []
        return ("call", name, tuple(arguments))

    def constants(self) -> Node:
        rows: list[list[Any]] = [[]]
        while True:
            node = self.prefixed()
            if node[0] == "negative" and node[1][0] == "value" and not isinstance(node[1][1], str):
                node = ("value", -node[1][1])
            if node[0] not in ("value", "error"):
                raise Unsupported("an array that is not of constants")
            rows[-1].append(node[1])
            following = self.take()[1]
            if following == "}":
                break
            if following == ";":
                rows.append([])
            elif following != ",":
                raise Unsupported("the notation of an array")
        if len({len(row) for row in rows}) != 1:
            raise Unsupported("an array with rows of unequal length")
        return ("array", rows)
