#!/usr/bin/env python3
"""Forms: list the fields, fill them, or make the filled form plain pages.

    forms.py list FORM.pdf                                  every field as JSON: name, type, options, value, place
    forms.py fill FORM.pdf VALUES.json -o OUT.pdf [--flatten]
    forms.py flatten FORM.pdf -o OUT.pdf

VALUES.json is one object: {"name": "Ada", "agree": true, "colour": "blue", "tongues": ["en", "fr"]}. A checkbox takes
true, false or the name of its state; a radio group and a choice take one of the listed options. Unknown names, values
that are no option, texts longer than the field allows and read-only fields are refused, and nothing is written.
Exit status: 0 done, 1 done but a text does not fit into its field, 2 the file, the values or the call are wrong.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pikepdf
from appearance import draw
from fields import EDITABLE, READ_ONLY, SEVERAL, Field, fields, on_states
from opening import Unreadable, bounded, edit, program

LONGEST_TEXT = 100_000


def main() -> int:
    parser = program(__doc__)
    parser.add_argument("action", choices=("list", "fill", "flatten"))
    parser.add_argument("file", type=Path)
    parser.add_argument("values", type=Path, nargs="?", help="a JSON file, or - for standard input")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--flatten", action="store_true", help="fill: make the fields part of the page")
    parser.add_argument("--force", action="store_true", help="fill: also fields that are read-only")
    parser.add_argument("--password", default="")
    options = parser.parse_args()
    with edit(options.file, options.password) as document:
        found = fields(document)
        if options.action == "list":
            print(json.dumps([one.as_dict() for one in found], ensure_ascii=False, indent=1))
            if "/AcroForm" in document.Root and "/XFA" in document.Root.AcroForm:
                print(
                    "note: an XFA form; its ordinary fields are listed, filling removes the XFA part", file=sys.stderr
                )
            return 0
        if not options.output:
            raise Unreadable("name the new file with -o")
        if not found:
            raise Unreadable(
                f"{options.file}: has no form fields; stamp text onto the pages instead (arrange.py stamp)"
            )
        tight: list[str] = []
        if options.action == "fill":
            tight = fill(document, found, _values(options.values), options.force)
        if options.action == "flatten" or options.flatten:
            flatten(document)
        document.save(options.output)
    print(f"wrote {options.output}")
    for name in tight:
        print(f"warning: the text of {name} does not fit into its field", file=sys.stderr)
    return 1 if tight else 0


def _values(path: Path | None) -> dict[str, Any]:
    if path is None:
        raise Unreadable("give the values: forms.py fill FORM.pdf VALUES.json -o OUT.pdf")
    try:
        values = json.loads(sys.stdin.read() if str(path) == "-" else path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise Unreadable(f"{path}: must be one JSON object of names and values")
    return values


def fill(document: Any, found: list[Field], values: dict[str, Any], force: bool = False) -> list[str]:
    """Set the values and draw them. Returns the names of fields whose text does not fit."""
    by_name = {one.name: one for one in found}
    wrong = [f"no field is called {name!r}" for name in values if name not in by_name]
    wrong += [
        why for name, value in values.items() if name in by_name and (why := _refusal(by_name[name], value, force))
    ]
    if wrong:
        known = ", ".join(sorted(by_name)[:60])
        raise Unreadable("; ".join(wrong[:20]) + f". The fields: {known}")
    tight = [name for name, value in values.items() if not _set(document, by_name[name], value)]
    form = document.Root.AcroForm
    for key in ("/XFA", "/NeedAppearances"):
        if key in form:
            del form[key]
    return tight


def _refusal(field: Field, value: Any, force: bool) -> str:
    names = [stored for stored, _ in field.options] + [shown for _, shown in field.options]
    listed = ", ".join(dict.fromkeys(names[:30]))
    where = f"{field.name!r} ({field.kind})"
    if field.kind in ("button", "signature"):
        return f"{where} cannot be filled"
    if field.flags & READ_ONLY and not force:
        return f"{where} is read-only (--force fills it all the same)"
    if field.kind == "checkbox":
        return (
            "" if isinstance(value, bool) or value in (*names, "Off") else f"{where} takes true or false, not {value!r}"
        )
    if field.kind == "radio":
        return "" if value in (*names, "Off", None) else f"{where} takes one of {listed}, not {value!r}"
    chosen = value if isinstance(value, list) else [value]
    if field.kind in ("choice", "list") and not field.flags & EDITABLE:
        if len(chosen) > 1 and not field.flags & SEVERAL:
            return f"{where} takes one value only"
        return next((f"{where} takes one of {listed}, not {one!r}" for one in chosen if str(one) not in names), "")
    if not isinstance(value, str | int | float) or isinstance(value, bool) or len(str(value)) > LONGEST_TEXT:
        return f"{where} takes a text"
    longest = int(field.inherited.get("/MaxLen", 0))
    return (
        f"{where} takes {longest} characters at most, not {len(str(value))}"
        if longest and len(str(value)) > longest
        else ""
    )


def _set(document: Any, field: Field, value: Any) -> bool:
    if field.kind in ("checkbox", "radio"):
        return _switch(field, value)
    stored = {shown: stored for stored, shown in field.options} | {stored: stored for stored, _ in field.options}
    shown = dict(field.options)
    chosen = [stored.get(str(one), str(one)) for one in (value if isinstance(value, list) else [value])]
    texts = [shown.get(one, one) for one in chosen]
    field.dictionary["/V"] = (
        pikepdf.Array([pikepdf.String(one) for one in chosen])
        if len(chosen) > 1
        else pikepdf.String(chosen[0] if chosen else "")
    )
    if field.kind == "list":
        order = [stored_ for stored_, _ in field.options]
        field.dictionary["/I"] = pikepdf.Array(sorted(order.index(one) for one in chosen if one in order))
    return all(draw(document, field, widget, "\n".join(texts)) for widget, _ in field.widgets)


def _switch(field: Field, value: Any) -> bool:
    states = [state for widget, _ in field.widgets for state in on_states(widget)]
    state = (states[0] if states else "Yes") if value is True else "Off" if value in (False, None) else str(value)
    field.dictionary["/V"] = pikepdf.Name(f"/{state}")
    for widget, _ in field.widgets:
        widget["/AS"] = pikepdf.Name(f"/{state}" if state in on_states(widget) else "/Off")
    return True


def flatten(document: Any) -> None:
    """Make what the fields show part of the pages, and remove the form."""
    for one in fields(document):
        if one.kind in ("text", "choice", "list") and one.value:
            for widget, _ in one.widgets:
                if "/AP" not in widget:
                    draw(document, one, widget, "\n".join(one.value) if isinstance(one.value, list) else one.value)
    document.flatten_annotations("all")
    if "/AcroForm" in document.Root:
        del document.Root["/AcroForm"]


if __name__ == "__main__":
    raise SystemExit(bounded(main))
