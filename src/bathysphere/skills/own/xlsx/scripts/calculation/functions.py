"""The functions of formulas.

Each is registered with what its arguments are: ``s`` a single value (an array there makes the function work on every
value), ``r`` a range or array as it is; letters in brackets repeat.
"""

from __future__ import annotations

import calendar
import datetime as dt
import itertools
import math
import re
import statistics
from collections.abc import Callable, Iterator
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal

from . import values as v
from .criteria import criterion, wildcards
from .formats import formatted
from .values import Array, Error, Failed, Scalar, Unsupported, Value, logical, number, text

FUNCTIONS: dict[str, tuple[str, Callable[..., Value]]] = {}
Registered = Callable[..., Value]


def function(names: str, arguments: str) -> Callable[[Registered], Registered]:
    def register(body: Registered) -> Registered:
        for name in names.split():
            FUNCTIONS[name] = (arguments, body)
        return body

    return register


def numbers(arguments: tuple[Value, ...]) -> Iterator[float]:
    """What sums add: in ranges only true numbers, of written arguments also what can be read as one."""
    for argument in arguments:
        if isinstance(argument, Array):
            for value in argument.flat():
                if isinstance(value, Error):
                    raise Failed(value)
                if isinstance(value, int | float) and not isinstance(value, bool):
                    yield value
        else:
            yield number(argument)


def some(found: list[float], error: Error = v.DIV0, least: int = 1) -> list[float]:
    if len(found) < least:
        raise Failed(error)
    return found


def _over_numbers(names: str, body: Callable[[list[float]], float]) -> None:
    function(names, "(r)")(lambda *arguments: body(list(numbers(arguments))))


_over_numbers("SUM", math.fsum)
_over_numbers("AVERAGE", lambda found: math.fsum(some(found)) / len(found))
_over_numbers("MIN", lambda found: min(found, default=0))
_over_numbers("MAX", lambda found: max(found, default=0))
_over_numbers("PRODUCT", lambda found: math.prod(map(float, found)) if found else 0)
_over_numbers("SUMSQ", lambda found: math.fsum(x * x for x in found))
_over_numbers("MEDIAN", lambda found: statistics.median(some(found, v.NUM)))
_over_numbers("STDEV STDEV.S", lambda found: statistics.stdev(some(found, least=2)))
_over_numbers("STDEVP STDEV.P", lambda found: statistics.pstdev(some(found)))
_over_numbers("VAR VAR.S", lambda found: statistics.variance(some(found, least=2)))
_over_numbers("VARP VAR.P", lambda found: statistics.pvariance(some(found)))


@function("COUNT", "(r)")
def count(*arguments: Value) -> Value:
    total = 0
    for argument in arguments:
        if isinstance(argument, Array):
            total += sum(isinstance(value, int | float) and not isinstance(value, bool) for value in argument.flat())
        else:
            try:
                number(argument)
                total += 1
            except Failed:
                pass
    return total


@function("COUNTA", "(r)")
def counta(*arguments: Value) -> Value:
    return sum(
        sum(value is not None for value in argument.flat()) if isinstance(argument, Array) else 1
        for argument in arguments
    )


@function("COUNTBLANK", "r")
def countblank(cells: Array) -> Value:
    return sum(value is None or value == "" for value in cells.flat())


def _selected(pairs: tuple[Value, ...], like: Array | None = None) -> list[bool]:
    if len(pairs) % 2 or not pairs:
        raise Failed(v.VALUE)
    chosen: list[bool] | None = [True] * (like.height * like.width) if like else None
    shape = (like.height, like.width) if like else None
    for cells, wanted in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(cells, Array) or isinstance(wanted, Array):
            raise Failed(v.VALUE)
        if shape is not None and (cells.height, cells.width) != shape:
            raise Failed(v.VALUE)
        shape = (cells.height, cells.width)
        fits = criterion(wanted)
        found = [fits(value) for value in cells.flat()]
        chosen = found if chosen is None else [a and b for a, b in zip(chosen, found, strict=True)]
    return chosen or []


def _chosen(cells: Array, pairs: tuple[Value, ...]) -> list[float]:
    kept = [value for value, fits in zip(cells.flat(), _selected(pairs, cells), strict=True) if fits]
    return list(numbers((Array([kept]),)))


def _beside(cells: Array, other: Array | None) -> Array:
    if other is None:
        return cells
    if (cells.height, cells.width) != (other.height, other.width):
        raise Unsupported("ranges of unequal size in SUMIF or AVERAGEIF")
    return other


function("COUNTIF COUNTIFS", "(rs)")(lambda *pairs: sum(_selected(pairs)))
function("SUMIFS", "r(rs)")(lambda cells, *pairs: math.fsum(_chosen(cells, pairs)))
function("AVERAGEIFS", "r(rs)")(lambda cells, *pairs: statistics.fmean(some(_chosen(cells, pairs))))
function("MINIFS", "r(rs)")(lambda cells, *pairs: min(_chosen(cells, pairs), default=0))
function("MAXIFS", "r(rs)")(lambda cells, *pairs: max(_chosen(cells, pairs), default=0))
function("SUMIF", "rsr")(lambda cells, wanted, other=None: math.fsum(_chosen(_beside(cells, other), (cells, wanted))))
function("AVERAGEIF", "rsr")(
    lambda cells, wanted, other=None: statistics.fmean(some(_chosen(_beside(cells, other), (cells, wanted))))
)


@function("SUMPRODUCT", "(a)")
def sumproduct(*arrays: Value) -> Value:
    whole = [array if isinstance(array, Array) else Array([[array]]) for array in arrays]
    if len({(array.height, array.width) for array in whole}) != 1:
        raise Failed(v.VALUE)
    total = []
    for values in zip(*(array.flat() for array in whole), strict=True):
        for value in values:
            if isinstance(value, Error):
                raise Failed(value)
        plain = [x if isinstance(x, int | float) and not isinstance(x, bool) else 0 for x in values]
        total.append(math.prod(map(float, plain)))
    return math.fsum(total)


def _nth(cells: Value, place: Scalar, largest: bool) -> Value:
    found = sorted(numbers((cells,)), reverse=largest)
    index = math.ceil(number(place))
    return found[index - 1] if 1 <= index <= len(found) else v.NUM


function("LARGE", "rs")(lambda cells, place: _nth(cells, place, True))
function("SMALL", "rs")(lambda cells, place: _nth(cells, place, False))


@function("RANK RANK.EQ", "srs")
def rank(value: Scalar, cells: Array, ascending: Scalar = 0) -> Value:
    found, own = list(numbers((cells,))), number(value)
    if own not in found:
        return v.NA
    return 1 + sum(other < own if number(ascending) else other > own for other in found)


@function("PERCENTILE PERCENTILE.INC", "rs")
def percentile(cells: Value, share: Scalar) -> Value:
    found, where = sorted(numbers((cells,))), number(share)
    if not found or not 0 <= where <= 1:
        return v.NUM
    place = where * (len(found) - 1)
    low = math.floor(place)
    high = min(low + 1, len(found) - 1)
    return found[low] + (found[high] - found[low]) * (place - low)


function("QUARTILE QUARTILE.INC", "rs")(lambda cells, quarter: percentile(cells, math.floor(number(quarter)) / 4))


def rounded(value: Scalar, digits: Scalar, how: str) -> float:
    places = math.trunc(number(digits))
    if not -300 <= places <= 300:
        raise Failed(v.NUM)
    amount = number(value)
    if places > 15 or abs(amount) * 10.0**places > 1e15:
        return amount
    return float(Decimal(f"{amount:.15g}").quantize(Decimal(1).scaleb(-places), how)) if amount else 0


function("ROUND", "ss")(lambda value, digits: rounded(value, digits, ROUND_HALF_UP))
function("ROUNDUP", "ss")(lambda value, digits: rounded(value, digits, ROUND_UP))
function("ROUNDDOWN", "ss")(lambda value, digits: rounded(value, digits, ROUND_DOWN))
function("TRUNC", "ss")(lambda value, digits=0: rounded(value, digits, ROUND_DOWN))
function("INT", "s")(lambda value: math.floor(number(value)))
function("ABS", "s")(lambda value: abs(number(value)))
function("SIGN", "s")(lambda value: (number(value) > 0) - (number(value) < 0))
function("SQRT", "s")(lambda value: math.sqrt(number(value)) if number(value) >= 0 else v.NUM)
function("EXP", "s")(lambda value: math.exp(number(value)))
function("LN", "s")(lambda value: math.log(number(value)) if number(value) > 0 else v.NUM)
function("LOG10", "s")(lambda value: math.log10(number(value)) if number(value) > 0 else v.NUM)
function("PI", "")(lambda: math.pi)


@function("LOG", "ss")
def log(value: Scalar, base: Scalar = 10) -> Value:
    amount, root = number(value), number(base)
    if amount <= 0 or root <= 0:
        return v.NUM
    return v.DIV0 if root == 1 else math.log10(amount) if root == 10 else math.log(amount, root)


@function("MOD", "ss")
def mod(value: Scalar, by: Scalar) -> Value:
    divisor = number(by)
    return v.DIV0 if divisor == 0 else number(value) - divisor * math.floor(number(value) / divisor)


@function("POWER", "ss")
def power(base: Scalar, exponent: Scalar) -> Value:
    a, b = number(base), number(exponent)
    if a == 0 and b <= 0:
        return v.NUM if b == 0 else v.DIV0
    # Of whole numbers Python would make one of any length.
    result = float(a) ** float(b) if a >= 0 or float(b).is_integer() else math.nan
    return v.NUM if isinstance(result, complex) or math.isnan(result) else result


def _multiple(value: Scalar, step: Scalar, how: Callable[[float], int]) -> Value:
    amount, size = number(value), number(step)
    if size == 0:
        return 0
    if amount > 0 > size:
        return v.NUM
    return how(float(f"{amount / size:.14g}")) * size


function("CEILING", "ss")(lambda value, step: _multiple(value, step, math.ceil))
function("FLOOR", "ss")(lambda value, step: _multiple(value, step, math.floor) if number(step) else v.DIV0)


@function("MROUND", "ss")
def mround(value: Scalar, step: Scalar) -> Value:
    amount, size = number(value), number(step)
    if amount * size < 0:
        return v.NUM
    return math.floor(float(f"{amount / size:.14g}") + 0.5) * size if size else 0


def _logicals(arguments: tuple[Value, ...]) -> list[bool]:
    found: list[bool] = []
    for argument in arguments:
        if isinstance(argument, Array):
            for value in argument.flat():
                if isinstance(value, Error):
                    raise Failed(value)
                if value is not None and not isinstance(value, str):
                    found.append(bool(value))
        else:
            found.append(logical(argument))
    if not found:
        raise Failed(v.VALUE)
    return found


function("AND", "(r)")(lambda *arguments: all(_logicals(arguments)))
function("OR", "(r)")(lambda *arguments: any(_logicals(arguments)))
function("XOR", "(r)")(lambda *arguments: sum(_logicals(arguments)) % 2 == 1)
function("NOT", "s")(lambda value: not logical(value))
function("TRUE", "")(lambda: True)
function("FALSE", "")(lambda: False)
function("NA", "")(lambda: v.NA)


def _checked(body: Callable[[Scalar], bool]) -> Callable[[Scalar], bool]:
    body.takes_errors = True  # type: ignore[attr-defined]
    return body


function("ISBLANK", "s")(_checked(lambda value: value is None))
function("ISERROR", "s")(_checked(lambda value: isinstance(value, Error)))
function("ISERR", "s")(_checked(lambda value: isinstance(value, Error) and value != v.NA))
function("ISNA", "s")(_checked(lambda value: value == v.NA))
function("ISTEXT", "s")(_checked(lambda value: isinstance(value, str)))
function("ISNONTEXT", "s")(_checked(lambda value: not isinstance(value, str)))
function("ISLOGICAL", "s")(_checked(lambda value: isinstance(value, bool)))
function("ISNUMBER", "s")(_checked(lambda value: isinstance(value, int | float) and not isinstance(value, bool)))
function("N", "s")(lambda value: 0 if isinstance(value, str) else number(value))
function("T", "s")(lambda value: value if isinstance(value, str) else "")


def _count(value: Scalar, least: int = 0) -> int:
    amount = math.floor(number(value))
    if amount < least:
        raise Failed(v.VALUE)
    return min(amount, 32768)


function("LEN", "s")(lambda value: len(text(value).encode("utf-16-le")) // 2)
function("LEFT", "ss")(lambda value, length=1: text(value)[: _count(length)])
function("RIGHT", "ss")(lambda value, length=1: text(value)[-_count(length) :] if _count(length) else "")
function("MID", "sss")(lambda value, at, length: text(value)[_count(at, 1) - 1 :][: _count(length)])
function("UPPER", "s")(lambda value: text(value).upper())
function("LOWER", "s")(lambda value: text(value).lower())
function("PROPER", "s")(lambda value: re.sub(r"[^\W\d_]+", lambda word: word[0].capitalize(), text(value)))
function("TRIM", "s")(lambda value: re.sub(" +", " ", text(value)).strip(" "))
function("EXACT", "ss")(lambda left, right: text(left) == text(right))
function("VALUE", "s")(number)
function("TEXT", "ss")(lambda value, pattern: formatted(value, text(pattern)))
function("CONCATENATE", "(s)")(lambda *parts: "".join(map(text, parts)))
function("CHAR", "s")(lambda value: chr(_count(value, 1)) if _count(value) < 128 else _unsupported("CHAR above 127"))
function("REPLACE", "ssss")(
    lambda value, at, length, new: (
        text(value)[: _count(at, 1) - 1] + text(new) + text(value)[_count(at, 1) - 1 + _count(length) :]
    )
)


def _unsupported(why: str) -> Value:
    raise Unsupported(why)


def _texts(arguments: tuple[Value, ...]) -> Iterator[str]:
    for argument in arguments:
        yield from map(text, argument.flat()) if isinstance(argument, Array) else (text(argument),)


@function("CONCAT", "(r)")
def concat(*parts: Value) -> Value:
    return _bounded("".join(_texts(parts)))


@function("TEXTJOIN", "ss(r)")
def textjoin(between: Scalar, skip: Scalar, *parts: Value) -> Value:
    leave = logical(skip)
    return _bounded(text(between).join(part for part in _texts(parts) if part or not leave))


def _bounded(joined: str) -> Value:
    return joined if len(joined) <= 32767 else v.VALUE


@function("REPT", "ss")
def rept(value: Scalar, times: Scalar) -> Value:
    one, count_ = text(value), math.floor(number(times))
    return v.VALUE if count_ < 0 or len(one) * count_ > 32767 else one * count_


@function("SUBSTITUTE", "ssss")
def substitute(value: Scalar, old: Scalar, new: Scalar, which: Scalar = None) -> Value:
    whole, wanted = text(value), text(old)
    if not wanted:
        return whole
    if which is None:
        longer = whole.count(wanted) * (len(text(new)) - len(wanted))
        return _bounded(whole.replace(wanted, text(new))) if len(whole) + longer <= 32767 else v.VALUE
    parts, place = whole.split(wanted), _count(which, 1)
    if place >= len(parts):
        return whole
    return wanted.join(parts[:place]) + text(new) + wanted.join(parts[place:])


@function("FIND", "sss")
def find(wanted: Scalar, within: Scalar, start: Scalar = 1) -> Value:
    place = text(within).find(text(wanted), _count(start, 1) - 1)
    return place + 1 if place >= 0 else v.VALUE


@function("SEARCH", "sss")
def search(wanted: Scalar, within: Scalar, start: Scalar = 1) -> Value:
    pattern = wildcards(text(wanted)) or re.compile(re.escape(text(wanted)), re.IGNORECASE)
    found = pattern.search(text(within), _count(start, 1) - 1)
    return found.start() + 1 if found else v.VALUE


@function("DATE", "sss")
def date(year: Scalar, month: Scalar, day: Scalar) -> Value:
    years, months = math.floor(number(year)), math.floor(number(month)) - 1
    years = years + 1900 if 0 <= years < 1900 else years
    years, months = years + months // 12, months % 12 + 1
    if not 1900 <= years <= 9999:
        return v.NUM
    serial = v.serial_of(dt.date(years, months, 1)) + math.floor(number(day)) - 1
    v.date_of(serial)
    return serial


def _moved(start: Scalar, months: Scalar, last: bool) -> Value:
    begin = v.date_of(number(start))
    whole = begin.year * 12 + begin.month - 1 + math.trunc(number(months))
    year, month = whole // 12, whole % 12 + 1
    if not 1900 <= year <= 9999:
        return v.NUM
    length = calendar.monthrange(year, month)[1]
    return v.serial_of(dt.date(year, month, length if last else min(begin.day, length)))


function("EDATE", "ss")(lambda start, months: _moved(start, months, False))
function("EOMONTH", "ss")(lambda start, months: _moved(start, months, True))
function("YEAR", "s")(lambda value: v.date_of(number(value)).year)
function("MONTH", "s")(lambda value: v.date_of(number(value)).month)
function("DAY", "s")(lambda value: v.date_of(number(value)).day)
function("HOUR", "s")(lambda value: v.date_of(number(value) % 1 + v.EARLIEST).hour)
function("MINUTE", "s")(lambda value: v.date_of(number(value) % 1 + v.EARLIEST).minute)
function("SECOND", "s")(lambda value: v.date_of(number(value) % 1 + v.EARLIEST).second)
function("DAYS", "ss")(lambda end, start: math.floor(number(end)) - math.floor(number(start)))
function("ISOWEEKNUM", "s")(lambda value: v.date_of(number(value)).isocalendar().week)
function("TODAY", "")(lambda: v.serial_of(dt.datetime.now(dt.UTC).date()))
function("NOW", "")(lambda: v.stored(dt.datetime.now(dt.UTC)))


@function("TIME", "sss")
def time(hours: Scalar, minutes: Scalar, seconds: Scalar) -> Value:
    total = _count(hours) * 3600 + _count(minutes) * 60 + _count(seconds)
    return total % 86400 / 86400


@function("WEEKDAY", "ss")
def weekday(value: Scalar, start: Scalar = 1) -> Value:
    monday = v.date_of(number(value)).weekday()
    first = {1: 6, 2: 0, 3: 0, 11: 0, 12: 1, 13: 2, 14: 3, 15: 4, 16: 5, 17: 6}.get(math.floor(number(start)))
    return v.NUM if first is None else (monday - first) % 7 + (number(start) != 3)


@function("DATEDIF", "sss")
def datedif(start: Scalar, end: Scalar, unit: Scalar) -> Value:
    first, last = v.date_of(number(start)), v.date_of(number(end))
    if first > last:
        return v.NUM
    months = (last.year - first.year) * 12 + last.month - first.month - (last.day < first.day)
    wanted = text(unit).upper()
    return {"D": (last - first).days, "M": months, "Y": months // 12, "YM": months % 12}.get(wanted, v.NUM)


@function("NETWORKDAYS", "ssr")
def networkdays(start: Scalar, end: Scalar, holidays: Value = None) -> Value:
    first, last = sorted((math.floor(number(start)), math.floor(number(end))))
    if last - first > 100_000:
        raise Unsupported("NETWORKDAYS over more than 100,000 days")
    free = {math.floor(day) for day in numbers((holidays,))} if holidays is not None else set()
    days = sum(v.date_of(day).weekday() < 5 and day not in free for day in range(first, last + 1))
    return days if number(start) <= number(end) else -days


@function("PMT", "sssss")
def pmt(rate: Scalar, periods: Scalar, present: Scalar, future: Scalar = 0, due: Scalar = 0) -> Value:
    r, n, pv, fv, at = map(number, (rate, periods, present, future, due))
    if n == 0:
        return v.NUM
    if r == 0:
        return -(pv + fv) / n
    growth = (1 + r) ** n
    return -(pv * growth + fv) * r / ((growth - 1) * (1 + r * (at != 0)))


@function("FV", "sssss")
def fv(rate: Scalar, periods: Scalar, payment: Scalar, present: Scalar = 0, due: Scalar = 0) -> Value:
    r, n, p, pv, at = map(number, (rate, periods, payment, present, due))
    growth = (1 + r) ** n
    return -(pv + p * n) if r == 0 else -(pv * growth + p * (1 + r * (at != 0)) * (growth - 1) / r)


@function("PV", "sssss")
def pv(rate: Scalar, periods: Scalar, payment: Scalar, future: Scalar = 0, due: Scalar = 0) -> Value:
    r, n, p, later, at = map(number, (rate, periods, payment, future, due))
    growth = (1 + r) ** n
    return -(later + p * n) if r == 0 else -(later + p * (1 + r * (at != 0)) * (growth - 1) / r) / growth


@function("NPV", "s(r)")
def npv(rate: Scalar, *flows: Value) -> Value:
    r = number(rate)
    return v.DIV0 if r == -1 else math.fsum(flow / (1 + r) ** at for at, flow in enumerate(numbers(flows), 1))


@function("IRR", "rs")
def irr(flows: Value, guess: Scalar = 0.1) -> Value:
    amounts = list(numbers((flows,)))
    signs = [amount > 0 for amount in amounts if amount]
    if sum(a != b for a, b in itertools.pairwise(signs)) != 1:
        raise Unsupported("IRR of flows that change their sign not exactly once")

    def worth(rate: float) -> float:
        return math.fsum(amount / (1 + rate) ** at for at, amount in enumerate(amounts))

    low, high = -0.99, 10.0
    if worth(low) * worth(high) > 0:
        return v.NUM
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if worth(low) * worth(middle) > 0 else (low, middle)
    return (low + high) / 2
