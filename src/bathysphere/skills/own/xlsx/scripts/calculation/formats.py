"""``TEXT(value, format)`` for the formats that people write; any other is left to a full spreadsheet."""

from __future__ import annotations

import calendar
import re
from decimal import ROUND_HALF_UP, Decimal

from .values import EARLIEST, Failed, Scalar, Unsupported, date_of, number, text

_MONTHS, _DAYS = calendar.month_name[1:], list(calendar.day_name)
_NUMERIC = re.compile(
    r"(?P<before>[^#0.,%]*)(?P<whole>[#0,]*[#0])(?:\.(?P<part>0*)(?P<perhaps>#*))?(?P<after>[^#0.,]*)"
)
_DATED = re.compile(r'yyyy|yy|mmmm|mmm|mm|m|dddd|ddd|dd|d|hh|h|ss|s|AM/PM|"[^"]*"|\\.|[-/:., ]', re.IGNORECASE)


def formatted(value: Scalar, pattern: str) -> str:
    if isinstance(value, str):
        try:
            value = number(value)
        except Failed:
            return value
    if isinstance(value, bool):
        return text(value)
    amount = number(value)
    if pattern in ("@", "General", "general"):
        return text(amount)
    sections = pattern.split(";")
    if len(sections) > 3:
        raise Unsupported(f"the format {pattern!r}")
    if amount < 0 and len(sections) > 1:
        return _section(-amount, sections[1])
    if amount == 0 and len(sections) > 2:
        return _section(amount, sections[2])
    return _section(amount, sections[0])


def _section(amount: float, pattern: str) -> str:
    bare = re.sub(r'"[^"]*"|\\.', "", pattern)
    if re.search("[ymdhs]", bare, re.IGNORECASE) and not re.search("[0#]", bare):
        return _dated(amount, pattern)
    return _numeric(amount, pattern)


def _literal(part: str) -> str:
    shown = re.sub(r'"([^"]*)"|\\(.)', lambda match: match[1] if match[1] is not None else match[2], part)
    if re.search(r"[^-\s$€£¥()+:/%\w]", shown) or (
        shown and re.search(r"[A-Za-z_*?]", re.sub(r'"[^"]*"|\\.', "", part))
    ):
        raise Unsupported(f"the format {part!r}")
    return shown


def _numeric(amount: float, pattern: str) -> str:
    match = _NUMERIC.fullmatch(pattern)
    if match is None:
        raise Unsupported(f"the format {pattern!r}")
    before, after = _literal(match["before"]), _literal(match["after"])
    percent = (match["before"] + match["after"]).count("%")
    part, perhaps = match["part"] or "", match["perhaps"] or ""
    exact = Decimal(f"{abs(amount):.15g}").scaleb(2 * percent)
    rounded = exact.quantize(Decimal(1).scaleb(-len(part) - len(perhaps)), ROUND_HALF_UP)
    whole, _, digits = f"{rounded:f}".partition(".")
    while perhaps and len(digits) > len(part) and digits.endswith("0"):
        digits = digits[:-1]
    least = match["whole"].replace(",", "").count("0")
    whole = whole.lstrip("0").rjust(least, "0")
    if "," in match["whole"]:
        head = len(whole) % 3
        groups = ([whole[:head]] if head else []) + [whole[at : at + 3] for at in range(head, len(whole), 3)]
        whole = ",".join(groups)
    point = "." if digits or (match["part"] is not None and not perhaps) else ""
    return ("-" if amount < 0 and rounded else "") + before + whole + point + digits + after


def _dated(amount: float, pattern: str) -> str:
    parts = _DATED.findall(pattern)
    if "".join(parts) != pattern:
        raise Unsupported(f"the format {pattern!r}")
    lowered = [part.lower() for part in parts]
    if not any(part[0] in "yd" or part in ("mmm", "mmmm") for part in lowered):
        amount = amount % 1 + EARLIEST  # The time alone.
    date = date_of(amount)
    half = "am/pm" in lowered
    hour = (date.hour % 12 or 12) if half else date.hour
    fields = [part for part in lowered if part[0] in "ymdhs"]
    shown, index = [], 0
    for part, low in zip(parts, lowered, strict=True):
        if low == "am/pm":
            shown.append("AM" if date.hour < 12 else "PM")
            continue
        if low[0] not in "ymdhs":
            shown.append(_literal(part) if part[0] in '"\\' else part)
            continue
        minutes = low in ("m", "mm") and (
            (index > 0 and fields[index - 1][0] == "h") or (index + 1 < len(fields) and fields[index + 1][0] == "s")
        )
        index += 1
        if low[0] == "m":
            name = _MONTHS[date.month - 1]
            count = date.minute if minutes else date.month
            shown.append({1: str(count), 2: f"{count:02}", 3: name[:3], 4: name}[len(low)])
        elif low[0] == "y":
            shown.append(f"{date.year}"[-len(low) :])
        elif low[0] == "d":
            name = _DAYS[date.weekday()]
            shown.append({1: str(date.day), 2: f"{date.day:02}", 3: name[:3], 4: name}[len(low)])
        else:
            count = hour if low[0] == "h" else date.second
            shown.append(f"{count:0{len(low)}}")
    return "".join(shown)
