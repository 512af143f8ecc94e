"""Every attack is denied as its data say, on the main engine, and a neighbour goes on working.

What is known not to be denied is carried out as well: when it is denied one day, the data and the page are to say so.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bathysphere.host.syscall_policy import Policy
from tests.attacks import table
from tests.attacks.__main__ import contradictions, elsewhere
from tests.attacks.attack import SUBJECTS, Attack, Subject, groups
from tests.attacks.battlefield import Verdict
from tests.host.conftest import ROOT

PAGE = Path(__file__).parents[2] / "docs" / "security.md"

# All of them on all engines take ten minutes: `make attacks`, which writes the page anew. As an ordinary user, that is
# the only one that can be.
HERE: list[Subject] = ["root"] if ROOT else ["ordinary"]
GROUPS = {group.group: group for group in groups()}


@cache
def verdicts(subject: Subject) -> dict[str, Verdict]:
    return elsewhere(subject, "all")


@pytest.mark.parametrize("subject", HERE)
@pytest.mark.parametrize("group", GROUPS)
def test_denied(group: str, subject: Subject) -> None:
    found = verdicts(subject)
    tried = [attack for attack in GROUPS[group].attack if attack.name in found]
    assert tried
    for attack in tried:
        if subject in attack.fails:
            print(f"{SUBJECTS[subject]}: {attack.name}: does not hold: {attack.fails[subject]}")
    wrong = contradictions(subject, found)
    assert not {attack.name: wrong[attack.name] for attack in tried if attack.name in wrong}


@pytest.mark.parametrize("subject", HERE)
def test_every_attack_had_a_neighbour_at_work(subject: Subject) -> None:
    assert all(verdict.neighbour_calls >= 1 for verdict in verdicts(subject).values())
    tried = {attack.name for group in groups() for attack in group.attack if subject not in attack.not_for}
    assert set(verdicts(subject)) == tried


def test_there_are_enough_and_of_every_kind() -> None:
    assert sum(len(group.attack) for group in groups()) >= 120
    assert len(groups()) == 11
    assert all(len(group.attack) >= 10 for group in groups())


def test_every_restriction_of_the_filter_is_attacked() -> None:
    attacked = {title for group in groups() for attack in group.attack for title in attack.policy}
    restricting = {group.title for group in Policy.load().groups if group.answer != "allow" or group.only}
    assert attacked == restricting


def test_the_page_holds_the_table() -> None:
    text = PAGE.read_text()
    assert table.replaced(text, groups()) == text, "python -m tests.attacks --write docs/security.md"


def test_the_table_names_every_attack_and_each_that_does_not_hold() -> None:
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in table.table(groups()).splitlines()}
    for group in groups():
        for attack in group.attack:
            row = rows[attack.name]
            assert row.count("**does not hold**") == len(attack.fails)
            assert all(why in row for why in (*attack.fails.values(), *attack.not_for.values()))


def test_data_that_expect_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing is expected"):
        Attack.model_validate({"name": "nothing at all", "denial": "none", "run": "true"})
    with pytest.raises(ValueError, match="exactly one"):
        Attack.model_validate({"name": "two at once", "denial": "none", "run": "true", "fork": True, "prints": ""})


def test_an_attack_that_succeeds_is_found_out() -> None:
    """A run in which one attack was not denied, and one that is known not to be was."""
    root = {attack.name: Verdict("", attack.name) for group in groups() for attack in group.attack}
    root["the server itself"].failure = "prints should be 'ECONNREFUSED'; seen: done"
    wrong = contradictions("root", root)
    known = {attack.name for group in groups() for attack in group.attack if "root" in attack.fails}
    assert set(wrong) == {"the server itself", *known}
