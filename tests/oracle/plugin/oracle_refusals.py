"""A pytest plugin for the SDK's own tests: which of them ask for what this server refuses, and with which words.

Loaded in the SDK's environment, where nothing of ours can be imported. A test that is named here counts as expected
to fail if, and only if, it gets that 400; one that passes, or fails in any other way, is a failure.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import anthropic
import pytest


class Refusal(NamedTuple):
    """Tests of a file whose names begin with ``test``, the words of the answer, and why it is right."""

    file: str
    test: str
    words: str
    why: str


REFUSALS = (
    Refusal(
        "api_resources/test_messages.py",
        "test_method_create_with_all_params",
        "container.skills: Skills can only be used when the code execution tool is declared",
        "asks for a Skill without the tool that reads it, which the documentation requires",
    ),
    Refusal(
        "api_resources/beta/test_messages.py",
        "test_method_create_with_all_params",
        "thread is not supported by this server",
        "asks for a thread; the SDKs go on without one when they are told so",
    ),
    Refusal(
        "api_resources/beta/test_messages.py",
        "test_method_count_tokens_with_all_params",
        "mcp_servers: the MCP connector is not supported by this server",
        "asks for MCP servers, which are not connected here",
    ),
    Refusal(
        "test_files.py",
        "test_method_list_with_all_params",
        "ids[]: cannot be combined with page",
        "puts ids[] and page together, which the documentation excludes",
    ),
    Refusal(
        "test_batches.py",
        "test_method_list_with_all_params",
        "before_id: cannot be combined with after_id",
        "puts before_id and after_id together, as if a page could lie in both directions",
    ),
)


def expected(item: pytest.Item) -> Refusal | None:
    """The refusal that a test is to meet."""
    return next((r for r in REFUSALS if item.path.as_posix().endswith(r.file) and item.name.startswith(r.test)), None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Called by pytest."""
    report = yield
    refusal = expected(item) if report.when == "call" else None
    if refusal is None:
        return report
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, anthropic.BadRequestError) and refusal.words in str(error):
        report.outcome = "skipped"
        report.wasxfail = refusal.why
    else:
        report.outcome = "failed"
        report.longrepr = report.longrepr or f"this was to be refused with: {refusal.words}"
    return report
