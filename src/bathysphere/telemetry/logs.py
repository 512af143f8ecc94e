"""The logs of the server and of the host daemon: text or JSON, each line with the request that it belongs to.

No log call of ours quotes what a client, a model or a container wrote. What libraries put into the messages of their
exceptions may: an error of SQLAlchemy has the values of its statement in it, one of pydantic what it looked at. So
such messages are left out unless ``logs.content`` asks for them; where an error came from is always told.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter

from bathysphere.settings import LogSettings

REQUESTS: Final = "bathysphere.requests"
"""The logger of the line that each request gets."""

FIELDS: Final = "fields"
"""The name under which a record has further fields: ``log.info(..., extra={FIELDS: {...}})``."""

_content = False

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
_LEFT_OUT: Final = "(message left out; logs.content = true has it)"


def set_up(settings: LogSettings, request_id: Callable[[], str], handler: logging.Handler | None = None) -> None:
    """Have this process log as the settings say, to ``handler`` or to standard error.

    ``request_id`` gives the id of the request that is being worked on; empty when there is none.
    """
    global _content  # noqa: PLW0603 - a process has one log
    _content = settings.content
    handler = handler or logging.StreamHandler()
    handler.setFormatter(formatter(settings))

    def note_request(record: logging.LogRecord) -> bool:
        record.request_id = request_id()
        return True

    handler.addFilter(note_request)
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    # Below warnings, libraries tell what they send and store.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    logging.getLogger("bathysphere").setLevel(level)
    logging.getLogger(REQUESTS).setLevel(logging.INFO if settings.requests else logging.CRITICAL)


def quoted(text: str) -> str:
    """What somebody else has written, for a log: its length alone, if ``logs.content`` does not ask for more."""
    return repr(text) if _content else f"{len(text)} characters (logs.content = true has them)"


def formatter(settings: LogSettings) -> logging.Formatter:
    """What writes a record as a line (text: or several)."""
    return (_Json if settings.format == "json" else _Text)(settings.content)


def described(error: BaseException, content: bool) -> str:
    """An exception and what it came from, as Python shows it, without what may quote a client."""
    if content:
        return "".join(traceback.format_exception(error)).rstrip("\n")
    lines: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        name = type(link).__qualname__ if type(link).__module__ == "builtins" else _full_name(type(link))
        said = f"{link.errno} {link.strerror}" if isinstance(link, OSError) and link.errno is not None else _LEFT_OUT
        frames = traceback.format_list(traceback.extract_tb(link.__traceback__))
        lines.insert(0, "Traceback (most recent call last):\n" + "".join(frames) + f"{name}: {said}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n\nwhich led to:\n\n".join(lines)


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


class _Text(logging.Formatter):
    def __init__(self, content: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._content = content

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        # One line, whatever is in it: nobody is to write lines of his own into the log.
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        line = super().formatMessage(record)
        line += "".join(f" {name}={_shown(value)}" for name, value in getattr(record, FIELDS, {}).items())
        request = getattr(record, "request_id", "")
        return f"{line} [{request}]" if request and request not in line else line

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - logging's name
        return described(ei[1], self._content) if ei[1] is not None else ""


def _shown(value: object) -> str:
    """A field on a line of text: quoted, where it is not plain enough to be told apart from the next one."""
    text = str(value)
    return text if text.isascii() and text.isprintable() and not set(text) & {" ", '"', "'", "="} else repr(text)


class _Json(JsonFormatter):
    def __init__(self, content: bool) -> None:
        super().__init__("%(message)s", json_ensure_ascii=False)
        self._content = content

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return log_data

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["message"] = record.getMessage()
        if request := getattr(record, "request_id", ""):
            log_data["request_id"] = request
        log_data.update(getattr(record, FIELDS, {}))
        if record.exc_info and record.exc_info[1] is not None:
            log_data["exception"] = described(record.exc_info[1], self._content)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - logging's name
        return described(ei[1], self._content) if ei[1] is not None else ""
