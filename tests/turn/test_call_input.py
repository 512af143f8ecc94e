"""What is passed on of a call's input is JSON, whatever the model writes (WIRE d)."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bathysphere.turn.call_input import MAX_DEPTH, CallInput


def passed(pieces: list[str]) -> tuple[str, CallInput]:
    call = CallInput()
    text = "".join(call.feed(piece) for piece in pieces)
    return text + call.close(), call


def split(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in itertools.pairwise(places)]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
objects = st.dictionaries(st.text(), values, max_size=5)
cuts = st.lists(st.integers(0, 10_000), max_size=10)


@given(objects, cuts, st.booleans(), st.sampled_from([None, 1]))
def test_json_is_passed_on_whole_wherever_it_is_cut(
    given_value: dict[str, Any], places: list[int], ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(given_value, ensure_ascii=ascii_only, indent=indent)
    whole, call = passed(split(text, places))
    assert json.loads(whole) == given_value
    assert call.value == given_value


@given(objects, st.integers(0, 10_000), cuts)
def test_what_is_cut_off_is_closed_and_is_no_input(given_value: dict[str, Any], length: int, places: list[int]) -> None:
    text = json.dumps(given_value)
    text = text[: length % len(text)]
    whole, call = passed(split(text, places))
    if text:
        assert isinstance(json.loads(whole), dict)
        assert call.value is None
    else:
        assert (whole, call.value) == ("", {})


@given(st.text(alphabet='{}[]":,\\ut\n\ud83d\ude00 aeflnrsu0123456789.-+E') | st.text(), cuts)
def test_rubbish_gives_json_all_the_same(text: str, places: list[int]) -> None:
    whole, call = passed(split(text, places))
    assert json.loads(whole or "{}") == call.passed_value
    whole.encode()  # no half of a surrogate pair


@given(st.text(alphabet='{}[]":,\\utd83e0 ab\n'), cuts)
def test_cuts_make_no_difference(text: str, places: list[int]) -> None:
    assert passed(split(text, places))[0] == passed([text])[0]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('{"command": "a\nb\tc"}', {"command": "a\nb\tc"}),
        ('{"command": "\\ud83d\\ude00"}', {"command": "😀"}),
        ('{"command": "\\ud83d"}', {"command": "\ufffd"}),
        ('{"command": "\\ude00\\ud83dx"}', {"command": "\ufffd\ufffdx"}),
        ("", {}),
        (" {} \n", {}),
        ('{"a": [1, -2.5e3, true, null, {}, []]}', {"a": [1, -2500.0, True, None, {}, []]}),
    ],
)
def test_what_only_needs_escaping_is_used(written: str, value: dict[str, Any]) -> None:
    assert passed([written])[1].value == value


@pytest.mark.parametrize(
    "written",
    [
        "ls -la",
        '"ls"',
        '["ls"]',
        "null",
        "{command: 1}",
        '{"a": tru}',
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": -1e999}',
        '{"a": 01}',
        '{"a": "\\x"}',
        '{"a" 1}',
        '{"a": 1,}',
        '{"a": [1,]}',
        '{"a": 1}}',
        '{"a": 1} x',
        "{'a': 1}",
        '{"a": ' + "[" * MAX_DEPTH,
        '{"a": ' + "1" * 1000 + "}",
    ],
)
def test_what_is_no_json_object_is_no_input(written: str) -> None:
    whole, call = passed([written])
    assert call.value is None
    assert isinstance(json.loads(whole or "{}"), dict)


def test_text_is_passed_on_as_it_comes() -> None:
    call = CallInput()
    assert [call.feed(piece) for piece in ('{"comm', 'and": "ec', "ho hi", '"}')] == [
        '{"comm',
        'and": "ec',
        "ho hi",
        '"}',
    ]
