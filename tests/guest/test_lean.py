"""What the guest has instead of slow standard modules does the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bathysphere.guest import json_text

PACKAGE = Path(json_text.__file__).parent.parent

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_values_go_there_and_back(value: object) -> None:
    text = json_text.dumps(value)
    assert text == json.dumps(value, separators=(",", ":")).encode()
    assert json_text.loads(text) == json.loads(text)


@given(st.text() | st.from_regex(r"[\[\]{}\",:0-9eE.+\-truefalsn\\ \n]{0,30}"))
def test_texts_are_read_alike(text: str) -> None:
    try:
        expected: object = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            json_text.loads(text.encode(errors="surrogatepass"))
    else:
        assert repr(json_text.loads(text.encode())) == repr(expected)


@pytest.mark.parametrize("text", [b"", b" ", b"{} {}", b"\xff", b'{"a":1', b"[1,]", b"'a'"])
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(ValueError):
        json_text.loads(text)


def test_depth_is_bounded() -> None:
    with pytest.raises(RecursionError):
        json_text.loads(b"[" * 100_000)


def test_what_json_cannot_hold() -> None:
    with pytest.raises(TypeError):
        json_text.dumps({"a": b"bytes"})


def test_a_started_guest_has_loaded_nothing_slow() -> None:
    program = f"import sys; sys.path.append({str(PACKAGE)!r}); import guest.init; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert "guest.commands" in done.stdout.split()
    slow = {"ctypes", "enum", "functools", "json", "re", "signal", "subprocess", "typing"}
    if sys.version_info[:2] == (3, 11):
        assert slow.isdisjoint(done.stdout.split())
