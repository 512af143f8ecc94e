"""Statements that are put together once, when the server starts, and carried out by SQLite's own driver.

SQLAlchemy takes ten times as long to look at a statement as SQLite does to carry it out. For the few that every
request needs, it looks at them once: for their text, and for how its types turn values into those of the database.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Insert, Select, Update
from sqlalchemy.dialects.sqlite.pysqlite import dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

_DIALECT: Final = dialect(paramstyle="qmark")

Convert = Callable[[Any], Any] | None


class Prepared:
    """A statement with a ``bindparam`` for each of its values; an INSERT has one for each of ``columns``."""

    def __init__(self, statement: Select[*tuple[Any, ...]] | Insert | Update, columns: Iterable[str] = ()) -> None:
        compiled = statement.compile(dialect=_DIALECT, column_keys=list(columns) or None)
        assert isinstance(compiled, SQLCompiler)
        self._text = str(compiled)
        self._values: list[tuple[str, Convert]] = [
            (name, _own(compiled.binds[name].type).bind_processor(_DIALECT)) for name in compiled.positiontup or ()
        ]
        selected = statement.selected_columns if isinstance(statement, Select) else ()
        self._columns: list[Convert] = [_own(column.type).result_processor(_DIALECT, None) for column in selected]
        self._row: Any = namedtuple("Row", [column.key for column in selected])  # type: ignore[misc]

    def first(self, connection: sqlite3.Connection, values: Mapping[str, object]) -> Any | None:
        """The first row of a SELECT, with an attribute for each column; None when there is none."""
        cursor = connection.execute(self._text, self._bound(values))
        try:
            found = cursor.fetchone()
        finally:
            cursor.close()  # what is read further stays open otherwise, and holds up the log's clearing
        return None if found is None else self._made(found)

    def all(self, connection: sqlite3.Connection, values: Mapping[str, object]) -> list[Any]:
        """Every row of a SELECT, as ``first`` gives one."""
        cursor = connection.execute(self._text, self._bound(values))
        try:
            found = cursor.fetchall()
        finally:
            cursor.close()
        return [self._made(row) for row in found]

    def once(self, connection: sqlite3.Connection, values: Mapping[str, object]) -> None:
        """Carry out what writes. Raises sqlite3.Error."""
        connection.execute(self._text, self._bound(values)).close()

    def each(self, connection: sqlite3.Connection, many: Iterable[Mapping[str, object]]) -> None:
        """Carry out what writes, once for each of ``many``. Raises sqlite3.Error."""
        connection.executemany(self._text, [self._bound(values) for values in many]).close()

    def _made(self, found: Iterable[Any]) -> Any:
        return self._row._make(
            value if convert is None else convert(value) for convert, value in zip(self._columns, found, strict=True)
        )

    def _bound(self, values: Mapping[str, object]) -> list[object]:
        return [values[name] if convert is None else convert(values[name]) for name, convert in self._values]


def _own(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return kind.dialect_impl(_DIALECT)
