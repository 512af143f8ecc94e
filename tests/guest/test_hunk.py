"""A hunk turns the old text into the new one, and is as small as it should be."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bathysphere.guest.hunk import CONTEXT, LARGEST_SHOWN, NO_NEWLINE, hunk

TEXT = st.lists(st.sampled_from(["a", "b", "", " ", "-x", "+y", "c\r", "\\"]), max_size=25).flatmap(
    lambda lines: st.sampled_from(["\n".join(lines), "".join(line + "\n" for line in lines)])
)


def patched(old: str, change: dict[str, Any]) -> str:
    """``old`` with a hunk applied, as patch(1) would."""
    lines = old.split("\n")
    whole = lines[-1] == ""
    if whole:
        lines.pop()
    removed: list[str] = []
    added: list[str] = []
    new_whole: bool | None = None
    previous = ""
    for line in change["lines"]:
        mark, text = line[0], line[1:]
        if line == NO_NEWLINE:
            if previous in " +":
                new_whole = False
            continue
        assert mark in " -+"
        if mark in " -":
            removed.append(text)
        if mark in " +":
            added.append(text)
        previous = mark
    assert len(removed) == change["old_lines"]
    assert len(added) == change["new_lines"]
    start = change["old_start"] - (1 if removed else 0)
    assert lines[start : start + len(removed)] == removed
    result = lines[:start] + added + lines[start + len(removed) :]
    if new_whole is None:
        new_whole = whole or NO_NEWLINE in change["lines"] or not old
    return "\n".join(result) + ("\n" if new_whole and result else "")


@given(TEXT, TEXT)
def test_applying_it_gives_the_new_text(old: str, new: str) -> None:
    change: Any = hunk(old, new)
    expected = new if new.endswith("\n") or not new or (old and not old.endswith("\n")) else None
    result = patched(old, change)
    assert result.removesuffix("\n") == new.removesuffix("\n")
    if expected is not None and old:
        assert result == new


@given(TEXT, st.data())
def test_one_changed_line_has_three_lines_of_context(text: str, data: st.DataObject) -> None:
    lines = text.split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    changed = [*lines[:at], "something new", *lines[at + 1 :]]
    change: Any = hunk(text, "\n".join(changed))
    assert sum(line.startswith(" ") for line in change["lines"]) <= 2 * CONTEXT
    assert "+something new" in change["lines"]


def test_the_documented_example() -> None:
    assert hunk("debug: true\nport: 80", "debug: false\nport: 80") == {
        "old_start": 1, "old_lines": 2, "new_start": 1, "new_lines": 2,
        "lines": ["-debug: true", "+debug: false", " port: 80"],
    }  # fmt: skip


def test_in_the_middle() -> None:
    old = "".join(f"{number}\n" for number in range(1, 21))
    assert hunk(old, old.replace("10\n", "ten\nten and a half\n")) == {
        "old_start": 7, "old_lines": 7, "new_start": 7, "new_lines": 8,
        "lines": [" 7", " 8", " 9", "-10", "+ten", "+ten and a half", " 11", " 12", " 13"],
    }  # fmt: skip


def test_everything_removed() -> None:
    assert hunk("a\n", "") == {"old_start": 1, "old_lines": 1, "new_start": 0, "new_lines": 0, "lines": ["-a"]}


def test_a_newline_at_the_end() -> None:
    change: Any = hunk("a", "a\n")
    assert change["lines"] == ["-a", NO_NEWLINE, "+a"]


def test_a_very_large_change_is_cut() -> None:
    new = "".join(f"{number:099}\n" for number in range(10_000))
    change: Any = hunk("a\n", new)
    assert (change["old_lines"], change["new_lines"]) == (1, 10_000)
    *shown, note = change["lines"]
    assert shown == ["-a", *("+" + line for line in new.split("\n")[: len(shown) - 1])]
    assert LARGEST_SHOWN - 101 < sum(len(line) + 1 for line in shown) <= LARGEST_SHOWN
    assert note == f"\\ {10_001 - len(shown)} lines are left out here: the change is larger than 256 KiB"
