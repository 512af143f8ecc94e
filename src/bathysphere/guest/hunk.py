"""One unified diff hunk between two texts (WIRE b.3: its body, and the four numbers of its header)."""

import difflib

CONTEXT = 3
NO_NEWLINE = "\\ No newline at end of file"

_COMPARED = 400
"""Changed lines up to which common ones among them are looked for; beyond, all count as changed."""


LARGEST_SHOWN = 256 * 1024
"""Bytes of a hunk's lines; further ones are left out, and a line that begins with a backslash says so."""


def _split(text: str) -> list[str]:
    """Lines without their newline. A text that does not end in one has a last line marked by a NUL at its end."""
    if not text:
        return []
    lines = text.split("\n")
    if lines[-1]:
        # So that a last line with and without newline differ; NUL cannot stand in a text file here.
        lines[-1] += "\0"
    else:
        lines.pop()
    return lines


def _show(prefix: str, line: str, final_differs: bool) -> list[str]:
    if not line.endswith("\0"):
        return [prefix + line]
    return [prefix + line[:-1], NO_NEWLINE] if final_differs else [prefix + line[:-1]]


def hunk(old: str, new: str) -> dict[str, object]:
    """The hunk that turns ``old`` into ``new``: ``old_start``, ``old_lines``, ``new_start``, ``new_lines``, ``lines``.

    Line numbers count from 1; a side without lines starts at the line before it, as in every unified diff. The
    missing newline at the end of a file is marked as usual, but only where the two texts differ in it. Of a very
    large change only the first lines are there (``LARGEST_SHOWN``); the numbers are those of the whole.
    """
    before, after = _split(old), _split(new)
    prefix = 0
    while prefix < min(len(before), len(after)) and before[prefix] == after[prefix]:
        prefix += 1
    suffix = 0
    while suffix < min(len(before), len(after)) - prefix and before[-1 - suffix] == after[-1 - suffix]:
        suffix += 1
    first = max(0, prefix - CONTEXT)
    trailing = min(suffix, CONTEXT)
    old_end = len(before) - suffix
    new_end = len(after) - suffix
    final_differs = bool(old.endswith("\n")) != bool(new.endswith("\n")) and bool(old) and bool(new)
    changed = [(" ", line) for line in before[first:prefix]]
    changed += _body(before[prefix:old_end], after[prefix:new_end])
    changed += [(" ", line) for line in before[old_end : old_end + trailing]]
    old_lines = old_end + trailing - first
    new_lines = new_end + trailing - first
    return {
        "old_start": first + 1 if old_lines else first,
        "old_lines": old_lines,
        "new_start": first + 1 if new_lines else first,
        "new_lines": new_lines,
        "lines": _bounded([shown for mark, line in changed for shown in _show(mark, line, final_differs)]),
    }


def _bounded(lines: list[str]) -> list[str]:
    size = 0
    for number, line in enumerate(lines):
        size += len(line.encode()) + 1
        if size > LARGEST_SHOWN:
            left_out = len(lines) - number
            note = f"\\ {left_out} lines are left out here: the change is larger than {LARGEST_SHOWN // 1024} KiB"
            return [*lines[:number], note]
    return lines


def _body(removed: list[str], added: list[str]) -> list[tuple[str, str]]:
    if max(len(removed), len(added)) > _COMPARED:
        return [("-", line) for line in removed] + [("+", line) for line in added]
    body = []
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, removed, added, autojunk=False).get_opcodes():
        if kind == "equal":
            body += [(" ", line) for line in removed[i1:i2]]
        else:
            body += [("-", line) for line in removed[i1:i2]] + [("+", line) for line in added[j1:j2]]
    return body
