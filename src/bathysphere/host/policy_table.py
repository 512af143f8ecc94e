"""The policy of system calls as the table in docs/security.md.

``python -m bathysphere.host.policy_table docs/security.md`` writes it anew after a change of the policy.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bathysphere.host.syscall_policy import Condition, Group, Policy

_BEGIN = "<!-- the policy: begin -->\n"
_END = "<!-- the policy: end -->\n"

_ANSWERS = {
    "allow": "allowed",
    "EPERM": "refused: EPERM",
    "ENOSYS": "does not exist: ENOSYS",
    "nothing": "does nothing",
}
_PLACES = ("first", "second", "third", "fourth", "fifth", "sixth")


def table(policy: Policy) -> str:
    """The policy in Markdown, a row per group."""
    lines = ["| what | answer | calls | why |", "|---|---|---|---|"]
    for group in policy.groups:
        calls = ", ".join(group.calls.split())
        lines.append(f"| {group.title} | {_answer(group)} | {calls} | {group.because} |")
    return "\n".join(lines) + "\n"


def _answer(group: Group) -> str:
    if not group.only:
        return _ANSWERS[group.answer]
    ways = [" and ".join(_words(condition) for condition in way) for way in group.only]
    return f"allowed if {'; or '.join(ways)}; otherwise EPERM"


def _words(condition: Condition) -> str:
    subject = f"the {_PLACES[condition.argument]} argument"
    if condition.mask:
        subject += f" (its part {condition.mask})"
    if condition.null:
        return f"{subject} is null"
    names = condition.one_of or condition.none_of
    listed = ", ".join(names[:-1]) + " or " + names[-1] if len(names) > 1 else names[0]
    return f"{subject} is {listed}" if condition.one_of else f"{subject} is not {listed}"


def replaced(page: str, policy: Policy) -> str:
    """The page with the table of this policy. Raises ValueError when it has no place for one."""
    before, begin, rest = page.partition(_BEGIN)
    _old, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError("the page has no place for the policy")
    return f"{before}{begin}{table(policy)}{end}{after}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(replaced(page.read_text(), Policy.load()))
