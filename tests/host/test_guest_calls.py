"""Calls of tools as a guest tells them: the guest may have been taken over, so nothing that others could not read."""

from __future__ import annotations

import json

import pytest

from bathysphere.guest.arguments import DEEPEST
from bathysphere.host.sandbox import GuestError, guest_calls


def told(argument: str) -> bytes:
    return f'{{"calls":[{{"number":1,"tool":"add","arguments":{{"a":{argument}}}}}]}}'.encode()


@pytest.mark.parametrize("argument", ["1", '"\\"[[[\\\\"', '"}{"', json.dumps("[" * 500), "[" * 63 + "]" * 63, "1e5"])
def test_what_any_reader_of_json_takes(argument: str) -> None:
    (call,) = guest_calls(told(argument))
    assert (call.number, call.tool, call.arguments) == (1, "add", {"a": json.loads(argument)})


@pytest.mark.parametrize(
    "argument",
    [
        "NaN",
        "-Infinity",
        '"\\ud800"',
        "1" * 5000,
        "[" * DEEPEST + "]" * DEEPEST,
        "[" * 100_000 + "]" * 100_000,
        '{"x":' * 70 + "1" + "}" * 70,
        "1}, {",
        "",
    ],
)
def test_what_others_could_not_take(argument: str) -> None:
    with pytest.raises(GuestError):
        guest_calls(told(argument))


@pytest.mark.parametrize(
    "said", [b"[]", b"{}", b'{"calls":{}}', b'{"calls":[{"number":-1,"tool":"a","arguments":{}}]}']
)
def test_what_is_not_as_agreed(said: bytes) -> None:
    with pytest.raises(GuestError):
        guest_calls(said)
