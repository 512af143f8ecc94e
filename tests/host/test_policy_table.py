"""The page on security holds the policy and the guarantees as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from bathysphere.host.guarantees import NAMES, ROOT_ONLY
from bathysphere.host.policy_table import replaced, table
from bathysphere.host.syscall_policy import Policy

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def test_the_page_holds_the_policy() -> None:
    text = PAGE.read_text()
    assert replaced(text, Policy.load()) == text, "python -m bathysphere.host.policy_table docs/security.md"


def test_every_group_and_call_is_in_the_table() -> None:
    rows = table(Policy.load()).splitlines()[2:]
    assert len(rows) == len(Policy.load().groups)
    for group, row in zip(Policy.load().groups, rows, strict=True):
        title, answer, calls, why = (cell.strip() for cell in row.strip("|").split(" | "))
        assert (title, calls.split(", "), why) == (group.title, group.calls.split(), group.because)
        assert answer


def test_conditions_are_said_in_words() -> None:
    rows = {row.split(" | ")[0].strip("| "): row.split(" | ")[1] for row in table(Policy.load()).splitlines()[2:]}
    assert rows["Pairs of sockets"] == "allowed if the first argument is AF_UNIX; otherwise EPERM"
    assert "the third argument is null; or the first argument is not PROCESS_1 and" in rows["Limits of processes"]
    assert "(its part FILE_TYPE) is S_UNSAID, S_IFREG, S_IFIFO or S_IFSOCK" in rows["Special files"]


def test_the_page_names_every_guarantee() -> None:
    rows = {line.split("|")[1].strip(): line for line in PAGE.read_text().splitlines() if line.startswith("| ")}
    for name in NAMES:
        assert ("weaker" in rows[name]) == (name in ROOT_ONLY), name


def test_a_page_without_a_place_for_it() -> None:
    with pytest.raises(ValueError, match="no place"):
        replaced("# Security\n", Policy.load())
