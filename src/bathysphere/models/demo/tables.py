"""The analysis of uploaded CSV files, in two steps: read and state findings; draw and write them down."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bathysphere.models.demo.conversation import Conversation, Outcome
from bathysphere.models.demo.documented import honest, trouble_in
from bathysphere.models.demo.drawing import DRAWING_WORDS, image_name
from bathysphere.models.demo.plan import Call, Plan, Toolbox

_ANALYSIS = re.compile(r"\b(analy[sz]e|analysis|summari[sz]e|summary|explore|describe|inspect|report|findings)\b", re.I)
_DATA = re.compile(r"\b(csv|tsv|data ?set|spreadsheet|table|uploaded|this data|this file|the file)\b", re.I)
_STEPS = 2


def _saved(outcomes: Sequence[Outcome]) -> list[str]:
    return [line for outcome in outcomes for line in outcome.section("Saved files")]


def _report_on(name: str, outcomes: Sequence[Outcome]) -> str:
    """What the answer says about one file; ``outcomes`` are those of its steps, as far as they were made."""
    if problem := trouble_in(outcomes):
        return f"{name}: {problem}"
    read = outcomes[0].fields()
    parts = [
        f"{name} has {read.get('rows', '?')} rows and {read.get('columns', '?')} columns "
        f"(separator: {read.get('separator', '?')}), with {read.get('missing values', '?')} missing values "
        f"and {read.get('duplicate rows', '?')} duplicate rows."
    ]
    if findings := outcomes[0].section("Findings"):
        parts.append("Findings:\n\n" + "\n".join(findings))
    notes = [outcome.fields()["note"] for outcome in outcomes if "note" in outcome.fields()]
    parts.extend(f"Note: {note}." for note in notes)
    saved = _saved(outcomes)
    parts.append("Saved files:\n\n" + "\n".join(f"- {file}" for file in saved) if saved else "No files were saved.")
    return "\n\n".join(parts)


def table_analysis(conversation: Conversation, toolbox: Toolbox) -> Plan | None:
    """ "Analyze this CSV data", with charts always, a report and a README when they are asked for."""
    prompt = conversation.prompt
    wanted = bool(_ANALYSIS.search(prompt) or DRAWING_WORDS.search(prompt) or not prompt)
    if not conversation.uploads:
        if _ANALYSIS.search(prompt) and _DATA.search(prompt):
            return honest(
                "no file came with this conversation. Upload one with the Files API and add "
                '{"type": "container_upload", "file_id": "file_..."} to the message'
            )
        return None
    if not wanted:
        return None
    return _Analysis(conversation, toolbox).plan()


class _Analysis:
    """The steps for each uploaded file; a file that cannot be read is told about and the next one goes on."""

    def __init__(self, conversation: Conversation, toolbox: Toolbox) -> None:
        self._conversation = conversation
        self._toolbox = toolbox
        self._done: list[tuple[str, list[Outcome]]] = []

    def plan(self) -> Plan:
        """The plan at this point of the conversation: what has been done, and at most one more call."""
        remaining = list(self._conversation.outcomes)
        calls: list[Call] = []
        for number, name in enumerate(self._conversation.uploads):
            mine: list[Outcome] = []
            self._done.append((name, mine))
            for step in range(_STEPS):
                calls.append(self._call(number, name, step))
                if not remaining:
                    return Plan(calls, self._report, keep_going=True)
                mine.append(remaining.pop(0))
                if trouble_in(mine):
                    break
        return Plan(calls, self._report, keep_going=True)

    def _report(self, _: Sequence[Outcome]) -> str:
        return "\n\n".join(_report_on(name, outcomes) for name, outcomes in self._done if outcomes)

    def _call(self, number: int, name: str, step: int) -> Call:
        prompt = self._conversation.prompt
        # Several files may give charts of the same kind: each has its own prefix then.
        prefix = f"{number + 1}_" if len(self._conversation.uploads) > 1 else ""
        key = str(number)
        if step == 0:
            say = f"Let me read {name} and see what it holds."
            return self._toolbox.program(say, "table_findings", "table_read", name=name, key=key)
        report = bool(re.search(r"\breport\b", prompt, re.I))
        readme = bool(re.search(r"\breadme\b", prompt, re.I))
        first = f"{prefix}{image}" if (image := image_name(prompt)) else None
        say = "Now I'll draw what its columns allow" + (", and write it down." if report or readme else ".")
        constants = {"key": key, "name": name, "prefix": prefix, "first": first, "report": report, "readme": readme}
        return self._toolbox.program(say, "table_charts", "table_report", **constants)
