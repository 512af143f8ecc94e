"""What may be passed to a tool: any JSON object within bounds, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bathysphere.guest.arguments import DEEPEST, LONGEST, Unfit, check

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)  # fmt: skip


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES))
def test_objects(value: dict[str, object]) -> None:
    check(json.dumps(value).encode())


@given(st.binary(max_size=40))
def test_noise_is_refused_or_an_object(noise: bytes) -> None:
    try:
        check(noise)
    except Unfit:
        return
    assert isinstance(json.loads(noise), dict)


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"1",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":' + b"9" * 400 + b"}",
        b'{"a":' + b"[" * DEEPEST + b"]" * DEEPEST + b"}",
        b'{"a":"' + b"x" * LONGEST + b'"}',
    ],
)
def test_what_is_refused(text: bytes) -> None:
    with pytest.raises(Unfit):
        check(text)


def test_the_deepest() -> None:
    check(b'{"a":' + b"[" * (DEEPEST - 1) + b"]" * (DEEPEST - 1) + b"}")
