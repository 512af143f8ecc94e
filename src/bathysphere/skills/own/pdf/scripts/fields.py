"""The fields of a form: what they are called, may hold, and hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MOST_FIELDS = 5000
DEEPEST = 24
READ_ONLY, REQUIRED, MULTILINE, PASSWORD, COMB = 1, 2, 1 << 12, 1 << 13, 1 << 24
RADIO, PUSHBUTTON, COMBO, EDITABLE, SEVERAL = 1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 21


@dataclass
class Field:
    """One field; ``widgets`` are the places where it is shown, each with the index of its page."""

    name: str
    kind: str  # text, checkbox, radio, choice, list, button, signature
    dictionary: Any
    flags: int
    inherited: dict[str, Any]
    widgets: list[tuple[Any, int]] = field(default_factory=list)

    @property
    def value(self) -> Any:
        value = self.inherited.get("/V")
        if value is None:
            return None
        if self.kind in ("checkbox", "radio"):
            return str(value).lstrip("/")
        if self.kind in ("text", "choice", "list"):
            try:
                return [str(one) for one in value] if value._type_name == "array" else str(value)
            except AttributeError:
                return str(value)
        return "(signed)" if self.kind == "signature" else None

    @property
    def options(self) -> list[tuple[str, str]]:
        """What may be chosen: the stored value and the shown one."""
        if self.kind in ("checkbox", "radio"):
            states = {state for widget, _ in self.widgets for state in on_states(widget)}
            return [(state, state) for state in sorted(states)]
        pairs = []
        for entry in list(self.inherited.get("/Opt", []))[:2000]:
            if entry._type_name == "array" if hasattr(entry, "_type_name") else False:
                pairs.append((str(entry[0]), str(entry[1])))
            else:
                pairs.append((str(entry), str(entry)))
        return pairs

    def as_dict(self) -> dict[str, Any]:
        described: dict[str, Any] = {"name": self.name, "type": self.kind, "value": self.value}
        if self.options:
            described["options"] = [
                stored if stored == shown else {"value": stored, "shown": shown} for stored, shown in self.options
            ]
        if "/MaxLen" in self.inherited:
            described["longest"] = int(self.inherited["/MaxLen"])
        if "/TU" in self.dictionary:
            described["label"] = str(self.dictionary["/TU"])
        described |= {
            name: True for name, bit in (("read_only", READ_ONLY), ("required", REQUIRED)) if self.flags & bit
        }
        if self.kind == "text" and self.flags & MULTILINE:
            described["multiline"] = True
        described["places"] = [
            {"page": page + 1, "rectangle": [round(float(edge), 1) for edge in widget.get("/Rect", [])]}
            for widget, page in self.widgets
        ]
        return described


def on_states(widget: Any) -> list[str]:
    """The names of a button's states other than off."""
    try:
        return [str(state).lstrip("/") for state in widget["/AP"]["/N"].keys() if state != "/Off"]  # noqa: SIM118
    except (KeyError, AttributeError, TypeError, ValueError):
        return []


def fields(document: Any) -> list[Field]:
    """All fields of a pikepdf document, in the order of its form."""
    root = document.Root
    if "/AcroForm" not in root:
        return []
    pages = {}
    for index, page in enumerate(document.pages):
        for widget in page.obj.get("/Annots", []):
            if hasattr(widget, "objgen"):
                pages[widget.objgen] = index
    found: list[Field] = []
    seen: set[tuple[int, int]] = set()
    defaults = {"/DA": root.AcroForm["/DA"]} if "/DA" in root.AcroForm else {}
    for entry in root.AcroForm.get("/Fields", []):
        for one in _walk(entry, "", defaults, pages, seen, 0):
            found.append(one)
            if len(found) >= MOST_FIELDS:
                return found
    return found


def _walk(
    entry: Any, parent: str, inherited: dict[str, Any], pages: dict[Any, int], seen: set[Any], depth: int
) -> Iterator[Field]:
    if depth > DEEPEST or not hasattr(entry, "get") or entry._type_name not in ("dictionary",):
        return
    if entry.objgen != (0, 0):
        if entry.objgen in seen:
            return
        seen.add(entry.objgen)
    own = str(entry["/T"]) if "/T" in entry else ""
    name = f"{parent}.{own}" if parent and own else parent or own
    given = dict(inherited)
    given |= {key: entry[key] for key in ("/FT", "/Ff", "/V", "/DA", "/Q", "/MaxLen", "/Opt") if key in entry}
    children = list(entry.get("/Kids", []))
    if any("/T" in child for child in children):
        for child in children:
            yield from _walk(child, name, given, pages, seen, depth + 1)
        return
    flags = int(given.get("/Ff", 0))
    which = str(given.get("/FT", ""))
    if which == "/Btn":
        kind = "radio" if flags & RADIO else "button" if flags & PUSHBUTTON else "checkbox"
    else:
        kind = {"/Tx": "text", "/Ch": "choice" if flags & COMBO else "list", "/Sig": "signature"}.get(which, "")
    if not kind or not name:
        return
    widgets = [(widget, pages.get(widget.objgen, 0)) for widget in (children or [entry])]
    yield Field(name, kind, entry, flags, given, widgets)
