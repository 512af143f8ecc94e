"""Which of Anthropic's models takes which version of the code execution tool (WIRE a.1)."""

from __future__ import annotations

from bathysphere.models.catalogue import known
from bathysphere.models.configured import Choice
from bathysphere.turn.checks import Checked
from bathysphere.wire.errors import InvalidRequest


def check_support(name: str, choice: Choice, checked: Checked) -> None:
    """Refuse a version that the model doesn't take. ``name`` is the client's, ``choice`` what it reaches.

    Only what is known to be a model of Anthropic's is refused anything: a name that is not in the table, and a model
    that is not reached by their protocol, takes every version, whatever the client calls it. Raises InvalidRequest.
    """
    if checked.version is None or not choice.of_anthropic:
        return
    model = known(choice.model or name)
    if model is None or checked.version.type in model.tool_versions:
        return
    # An undeclared tool comes with the tools that name it as their caller, so that is where to change it.
    where = "" if checked.tool is not None else "tools: `allowed_callers`: "
    raise InvalidRequest(
        f"{where}'{name}' does not support tool types: {checked.version.type}. "
        f"Did you mean one of {', '.join(model.tool_versions)}?"
    )
