"""Which plan fits a conversation: the documented prompts, matched tolerantly, and fenced code above all."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bathysphere.models.demo.conversation import Conversation
from bathysphere.models.demo.documented import config_file, mean_and_deviation, random_number, square, versions
from bathysphere.models.demo.drawing import drawing
from bathysphere.models.demo.fences import fenced_code
from bathysphere.models.demo.plan import Plan, Toolbox
from bathysphere.models.demo.tables import table_analysis

PROMPT_LIMIT: Final = 200_000
"""Characters of a prompt that are looked at."""

_Recognise = Callable[[Conversation, Toolbox], Plan | None]

# First match wins: what is most specific stands first.
_REPERTOIRE: Final[tuple[_Recognise, ...]] = (
    fenced_code,
    config_file,
    random_number,
    square,
    versions,
    table_analysis,
    mean_and_deviation,
    drawing,
)


def plan_for(conversation: Conversation, toolbox: Toolbox) -> Plan | None:
    """The plan for the last prompt; None when nothing in the repertoire fits."""
    if not re.search(r"\S", conversation.prompt) and not conversation.uploads:
        return None
    return next((plan for recognise in _REPERTOIRE if (plan := recognise(conversation, toolbox))), None)
