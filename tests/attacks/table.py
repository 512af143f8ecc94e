"""The table of attacks in docs/security.md: what is tried, and how it is denied on which engine."""

from __future__ import annotations

from collections.abc import Sequence

from tests.attacks.attack import SUBJECTS, Attack, Group, Subject

BEGIN = "<!-- the attacks: begin -->\n"
END = "<!-- the attacks: end -->\n"


def table(groups: Sequence[Group]) -> str:
    """Every attack in Markdown, a table per group, with a word about each engine on which it is not denied."""
    parts = []
    for group in groups:
        parts.append(f"### {group.group}\n\n{group.about}\n")
        parts.append("| attack | denial | " + " | ".join(SUBJECTS.values()) + " |\n|---|---|" + "---|" * len(SUBJECTS))
        for attack in group.attack:
            cells = [attack.name, attack.denial, *(_outcome(attack, subject) for subject in SUBJECTS)]
            parts.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
        parts.append("")
    return "\n".join(parts)


def _outcome(attack: Attack, subject: Subject) -> str:
    if subject in attack.fails:
        return f"**does not hold**: {attack.fails[subject]}"
    if subject in attack.not_for:
        return f"not tried: {attack.not_for[subject]}"
    own = getattr(attack.step[-1], subject) if subject != "root" else None
    said = own and ([own.prints] if own.prints else own.prints_one_of)
    return f"denied: {' or '.join(f'`{one}`' for one in said if one)}" if said else "denied"


def replaced(page: str, groups: Sequence[Group]) -> str:
    """The page with the table of these attacks. Raises ValueError when it has no place for one."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the attacks")
    return f"{before}{begin}{table(groups)}{end}{after}"
