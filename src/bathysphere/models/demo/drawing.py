""" "Create a matplotlib visualization and save it as output.png"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bathysphere.models.demo.conversation import Conversation, Outcome
from bathysphere.models.demo.documented import honest, numbers_in, trouble_in
from bathysphere.models.demo.plan import Plan, Toolbox

DRAWING_WORDS = re.compile(r"\b(matplotlib|visuali[sz]ations?|visuali[sz]e|plots?|charts?|graphs?|histograms?)\b", re.I)
_IMAGE = re.compile(r"\b([\w-]{1,80}\.(?:png|svg|pdf|jpe?g))\b", re.I)


def image_name(prompt: str) -> str | None:
    """The name of an image file that the prompt asks for; never a path."""
    match = _IMAGE.search(prompt)
    return match[1] if match else None


def drawing(conversation: Conversation, toolbox: Toolbox) -> Plan | None:
    """A drawing of the numbers in the prompt, or of an example function when there are none."""
    if not DRAWING_WORDS.search(conversation.prompt):
        return None
    numbers = numbers_in(conversation.prompt) or []
    if isinstance(numbers, str):
        return honest(numbers)
    filename = image_name(conversation.prompt) or "output.png"

    def report(outcomes: Sequence[Outcome]) -> str:
        if problem := trouble_in(outcomes):
            return problem
        got, saved = outcomes[-1].fields(), outcomes[-1].section("Saved files")
        return (
            f"I drew {got.get('title', 'the data')!r}: {got.get('points', '?')} points, y from "
            f"{got.get('range of y', '?')}. Saved: {', '.join(saved) or 'nothing'}."
        )

    what = f"the {len(numbers)} given values" if numbers else "an example function, since the prompt names no data,"
    say = f"I'll draw {what} with matplotlib and save it as {filename}."
    return Plan((toolbox.program(say, "visualization", numbers=numbers, filename=filename),), report)
