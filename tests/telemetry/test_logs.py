"""What a log line is, and what it leaves out."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from pydantic import BaseModel
from sqlalchemy import create_engine, text

from bathysphere.settings import LogSettings
from bathysphere.telemetry import logs

SECRET = "xyzzy"
log = logging.getLogger("bathysphere.somewhere")


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def written(settings: LogSettings) -> io.StringIO:
    """Where this process logs from now on, for a request."""
    stream = io.StringIO()
    logs.set_up(settings, lambda: "req_1", logging.StreamHandler(stream))
    return stream


class _Number(BaseModel):
    number: int


def quote_a_client(how: str) -> None:
    """As libraries do in the messages of their exceptions."""
    if how == "pydantic":
        _Number.model_validate({"number": SECRET})
    elif how == "sqlalchemy":
        with create_engine("sqlite://").connect() as connection:
            connection.execute(text("SELECT * FROM nothing WHERE name = :name"), {"name": SECRET})
    else:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise KeyError(SECRET) from error


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("how", ["pydantic", "sqlalchemy", "a cause"])
def test_an_unexpected_error_says_where_and_not_what(how: str, form: str) -> None:
    shown = []
    for content in (False, True):
        stream = written(LogSettings.model_validate({"format": form, "content": content}))
        try:
            quote_a_client(how)
        except Exception:
            log.exception("it failed")
        shown.append(stream.getvalue())
    kept, whole = shown
    assert SECRET not in kept and SECRET in whole
    assert "it failed" in kept and "quote_a_client" in kept and "req_1" in kept


def test_nobody_can_write_lines_of_his_own() -> None:
    stream = written(LogSettings())
    log.warning("named %s", "a\n2026-01-01 00:00:00,000 ERROR bathysphere: forged")
    assert len(stream.getvalue().splitlines()) == 1
    stream = written(LogSettings(format="json"))
    log.warning("named %s", "a\nb")
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert (said["message"], said["level"], said["request_id"]) == ("named a\nb", "warning", "req_1")


def test_the_level_holds_for_all_but_the_lines_of_requests() -> None:
    stream = written(LogSettings(level="error", requests=True))
    log.warning("not told")
    logging.getLogger(logs.REQUESTS).info("request", extra={logs.FIELDS: {"status": 200, "model": "a b=c"}})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("status=200 model='a b=c' [req_1]")
    stream = written(LogSettings(level="debug"))
    logging.getLogger(logs.REQUESTS).info("request")
    assert stream.getvalue() == ""
