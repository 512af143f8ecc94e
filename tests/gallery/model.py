"""What a language model would do with our skills, as a script over real requests.

It looks at what a model would see and nothing else: the user's words, what the system text says of the skills, and
the results of its calls. It reads the skill's instructions, writes its program, runs it and the skill's checker, and
tells the checker's verdict.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.scripted_model import BASH, EDITOR, check_history
from tests.models.scripted_upstream import Call, Failure, Say, Turn

PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True)
class Task:
    """What the user wants; ``program`` is what the model writes, ``run`` how it runs and checks it."""

    prompt: str
    skill: str
    program: str
    run: str
    uploads: tuple[str, ...] = ()


TASKS = {
    "presentation": Task(
        "Make a presentation of ten slides with a chart: our museum's visitors in 2025, for the board.",
        "pptx",
        "deck.py",
        "python3 deck.py && python3 /skills/pptx/scripts/check.py $OUTPUT_DIR/museum.pptx",
    ),
    "workbook": Task(
        "Make a workbook of the sales of 2025 with a summary by region, product and month, and a plan for 2026.",
        "xlsx",
        "workbook.py",
        "python3 workbook.py && python3 /skills/xlsx/scripts/recalc.py $OUTPUT_DIR/sales.xlsx"
        " && python3 /skills/xlsx/scripts/check.py $OUTPUT_DIR/sales.xlsx",
    ),
    "letter": Task(
        "Write a letter with our offer to Lind School: three evenings, with a table of the prices.",
        "docx",
        "letter.py",
        "python3 letter.py && python3 /skills/docx/scripts/check.py $OUTPUT_DIR/letter.docx",
    ),
    "form": Task(
        "Make a PDF form with which schools ask for an evening in the museum.",
        "pdf",
        "form.py",
        "python3 form.py && python3 /skills/pdf/scripts/check.py --unfilled $OUTPUT_DIR/request.pdf",
    ),
    "papers": Task(
        "Fill this form for Lind School, write a programme of their evening, and put both into one PDF.",
        "pdf",
        "papers.sh",
        "bash papers.sh",
        uploads=("request.pdf",),
    ),
}


def respond(body: dict[str, Any]) -> Turn | Failure:
    """The next turn of the conversation that the body holds."""
    results = check_history(body)
    words = json.dumps(body["messages"][:1], ensure_ascii=False)
    task = next(task for task in TASKS.values() if task.prompt in words)
    instructions = f"/skills/{task.skill}/SKILL.md"
    assert f"/skills/{task.skill}: " in json.dumps(body.get("system", "")), "the system text names the skill"
    program = (PROGRAMS / task.program).read_text("utf-8")
    if not results:
        return Turn(Say("I read the skill first."), Call(EDITOR, {"command": "view", "path": instructions}))
    if len(results) == 1:
        assert "check.py" in results[0], "these are the skill's instructions"
        create = {"command": "create", "path": task.program, "file_text": program}
        return Turn(Say("Now I write the program."), Call(EDITOR, create))
    if len(results) == 2:
        return Turn(Say("I run it, and check the result."), Call(BASH, {"command": task.run}))
    return Turn(Say(f"It is done. The check says: {results[2][-1500:]}"))
