"""The YAML between the two ``---`` at the beginning of ``SKILL.md``, and the rules for what it says (WIRE g)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from bathysphere.skills.refusal import BadSkill, quoted

FILE: Final = "SKILL.md"

NAME_CHARACTERS: Final = 64
DESCRIPTION_CHARACTERS: Final = 1024
FRONT_MATTER_BYTES: Final = 16 * 1024
"""Of the YAML. A name and a description take a tenth of it."""

_DEPTH: Final = 16
_NAME: Final = re.compile(r"[a-z0-9-]+", re.ASCII)
_RESERVED: Final = ("anthropic", "claude")
_TAG: Final = re.compile(r"</?[A-Za-z!?][^<>]*>")
_TEXT: Final = "tag:yaml.org,2002:str"
# The opening --- is the first line of the file.
_LINES_BEFORE: Final = 1


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a skill says of itself. ``name`` is None when it does not; then its folder's name is its name."""

    name: str | None
    description: str
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_front_matter(content: bytes) -> FrontMatter:
    """The front matter of a ``SKILL.md``. Raises BadSkill, with the line."""
    fields = _fields(_yaml_of(content))
    name = None
    if "name" in fields:
        key, value = fields["name"]
        name = _text("name", key, value)
        if fault := name_fault(name):
            raise _at(_line(value), fault)
    if "description" not in fields:
        raise BadSkill(
            f"{FILE}: the front matter has no description; say in it what the skill does, and when to use it"
        )
    key, value = fields["description"]
    description = _text("description", key, value).strip()
    if fault := _description_fault(description):
        raise _at(_line(value), fault)
    return FrontMatter(name, description, _metadata(fields))


def name_fault(name: str) -> str | None:
    """What is wrong with the name of a skill; None when nothing is."""
    if not 1 <= len(name) <= NAME_CHARACTERS:
        return f"name: a name has 1 to {NAME_CHARACTERS} characters, this one has {len(name)}"
    if _TAG.search(name):
        return "name: must not contain XML tags"
    if not _NAME.fullmatch(name):
        return f"name: only lower-case letters a-z, digits and hyphens are allowed, not {quoted(name)}"
    if found := next((word for word in _RESERVED if word in name), None):
        return f'name: must not contain the reserved word "{found}"'
    return None


def _description_fault(description: str) -> str | None:
    if not description:
        return "description: must not be empty; say what the skill does, and when to use it"
    if len(description) > DESCRIPTION_CHARACTERS:
        return f"description: has {len(description)} characters, and may have {DESCRIPTION_CHARACTERS}"
    if found := _TAG.search(description):
        return f"description: must not contain XML tags, and has {quoted(found[0])}"
    return None


def _yaml_of(content: bytes) -> str:
    """The text between the marks. Raises BadSkill."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    # Only what can be front matter is looked at, however long the file.
    head = content[: FRONT_MATTER_BYTES + 64]
    first, *lines = head.replace(b"\r\n", b"\n").split(b"\n")
    if first.rstrip() != b"---":
        raise _at(1, "the file must begin with front matter: a line ---, then name and description, then a line ---")
    end = next((number for number, line in enumerate(lines) if line.rstrip() == b"---"), None)
    if end is None:
        if len(content) > FRONT_MATTER_BYTES:
            raise BadSkill(f"{FILE}: the front matter has more than {FRONT_MATTER_BYTES} bytes, or no closing line ---")
        raise BadSkill(f"{FILE}: the front matter has no closing line ---")
    if sum(len(line) + 1 for line in lines[:end]) > FRONT_MATTER_BYTES:
        raise BadSkill(f"{FILE}: the front matter has more than {FRONT_MATTER_BYTES} bytes")
    decoded = []
    for number, line in enumerate(lines[:end]):
        try:
            decoded.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise _at(number + 1 + _LINES_BEFORE, "is not valid UTF-8") from error
    return "\n".join(decoded)


def _fields(text: str) -> dict[str, tuple[Node, Node]]:
    """The members of the YAML mapping, unconverted. Raises BadSkill."""
    try:
        _check_events(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = "; a text with a colon in it belongs in quotes" if "mapping values" in str(error.problem) else ""
        raise _at(mark.line + 1 + _LINES_BEFORE if mark else 1, f"is not valid YAML: {error.problem}{hint}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 + _LINES_BEFORE
        raise _at(line, f"is not valid YAML: the character U+{ord(text[error.position]):04X} is not allowed") from error
    if root is None:
        raise _at(2, "the front matter is empty; it needs a name and a description")
    if not isinstance(root, MappingNode):
        raise _at(_line(root), "the front matter must be a list of `key: value`")
    return _members(root)


def _check_events(text: str) -> None:
    """Refuse what grows when it is loaded, or goes too deep. Raises BadSkill and yaml.YAMLError."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _at(line, "YAML anchors and aliases (& and *) are not allowed")
        if getattr(event, "tag", None) is not None:
            raise _at(line, "YAML tags (!) are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEPTH:
                raise _at(line, f"is nested more than {_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _members(node: MappingNode) -> dict[str, tuple[Node, Node]]:
    found: dict[str, tuple[Node, Node]] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            raise _at(_line(key), "a key must be a plain word")
        if key.value in found:
            raise _at(_line(key), f"{quoted(key.value)} is given twice")
        found[key.value] = (key, value)
    return found


def _metadata(fields: Mapping[str, tuple[Node, Node]]) -> dict[str, str]:
    """The plain members of ``metadata``, as they are written."""
    _, node = fields.get("metadata", (None, None))
    if not isinstance(node, MappingNode):
        return {}
    return {name: value.value for name, (_, value) in _members(node).items() if isinstance(value, ScalarNode)}


def _text(name: str, key: Node, value: Node) -> str:
    if not isinstance(value, ScalarNode):
        raise _at(_line(key), f"{name}: must be a text")
    if value.tag != _TEXT:
        if not value.value:
            raise _at(_line(key), f"{name}: must not be empty")
        raise _at(_line(value), f"{name}: must be a text; put {quoted(value.value)} in quotes")
    return str(value.value)


def _line(found: Node | yaml.Event) -> int:
    mark = found.start_mark
    return (mark.line if mark is not None else 0) + 1 + _LINES_BEFORE


def _at(line: int, what: str) -> BadSkill:
    return BadSkill(f"{FILE} line {line}: {what}")
