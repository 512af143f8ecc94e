"""The comparison itself: it finds what is lost, cut off, changed or left over."""

from __future__ import annotations

import hashlib

from tests.crash.content import Content, Holding, differences
from tests.crash.verification import unmatched

OLD = Content("the old one", 100)
NEW = Content("the new one", 5000)


def found(content: Content, size: int | None = None) -> tuple[int, str]:
    data = content.bytes()[:size]
    return len(data), hashlib.sha256(data).hexdigest()


def test_what_was_told_must_be_there_whole() -> None:
    holding = Holding()
    holding.told(NEW)
    assert differences({"/a": holding}, {"/a": found(NEW)}) == []
    assert len(differences({"/a": holding}, {})) == 1
    assert len(differences({"/a": holding}, {"/a": found(NEW, 4096)})) == 1
    assert len(differences({"/a": holding}, {"/a": found(OLD)})) == 1


def test_what_was_not_told_is_whole_or_as_before() -> None:
    holding = Holding()
    holding.told(OLD)
    holding.untold(NEW)
    assert differences({"/a": holding}, {"/a": found(OLD)}) == []
    assert differences({"/a": holding}, {"/a": found(NEW)}) == []
    assert len(differences({"/a": holding}, {"/a": found(NEW, 4096)})) == 1
    assert len(differences({"/a": holding}, {})) == 1


def test_a_killed_program_may_have_written_a_part() -> None:
    holding = Holding()
    holding.untold(NEW, by_program=True)
    assert differences({"/a": holding}, {"/a": found(NEW, 4096)}) == []
    assert differences({"/a": holding}, {}) == []
    assert len(differences({"/a": holding}, {"/a": found(OLD)})) == 1


def test_what_nobody_made_is_found() -> None:
    assert len(differences({}, {"/home/user/.0123.part": found(OLD, 0)})) == 1


def test_who_fits_many_things_leaves_the_only_one_to_another() -> None:
    assert unmatched({"empty": [0, 1], "with a file": [0]}) == []
    assert unmatched({"one": [0], "two": [0], "three": []}) == ["two", "three"]
