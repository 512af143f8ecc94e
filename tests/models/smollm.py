"""A real language model for tests: SmolLM2-135M-Instruct behind an OpenAI-compatible endpoint on loopback.

It is far too small to be right; it is there because real tokens flow. ``smollm()`` is a context manager that gives
the base URL; the fixture of the same name lives for a session.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def smollm_server() -> Iterator[str]:
    """Start the server; the base URL of its OpenAI-compatible endpoint. It ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.models.smollm_server"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, f"the model's server ended with code {process.wait()}"
        yield f"{address}/v1"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def smollm() -> Iterator[str]:
    """The base URL of a running SmolLM2, shared by the session."""
    with smollm_server() as url:
        yield url
