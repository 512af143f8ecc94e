"""Functions newer than Excel 2007 stand in files with a prefix; Excel shows #NAME? for one without it."""

from __future__ import annotations

import re

_NEWER = """
ACOT AGGREGATE ARABIC BASE BETA.DIST BINOM.DIST BITAND BITOR CEILING.MATH CHISQ.TEST COMBINA CONCAT CONFIDENCE.NORM
CONFIDENCE.T COVARIANCE.P COVARIANCE.S DAYS DECIMAL EXPON.DIST F.TEST FLOOR.MATH FORECAST.ETS FORECAST.LINEAR
FORMULATEXT GAMMA IFNA IFS ISFORMULA ISOWEEKNUM MAXIFS MINIFS MODE.MULT MODE.SNGL NETWORKDAYS.INTL NORM.DIST NORM.INV
NORM.S.DIST NORM.S.INV NUMBERVALUE PERCENTILE.EXC PERCENTILE.INC PERCENTRANK.EXC PERCENTRANK.INC POISSON.DIST
QUARTILE.EXC QUARTILE.INC RANK.AVG RANK.EQ SHEET SHEETS STDEV.P STDEV.S SWITCH T.DIST T.INV T.TEST TEXTJOIN UNICHAR
UNICODE VAR.P VAR.S WORKDAY.INTL XOR Z.TEST
ANCHORARRAY BYCOL BYROW CHOOSECOLS CHOOSEROWS DROP EXPAND HSTACK LAMBDA LET MAKEARRAY MAP RANDARRAY REDUCE SCAN SEQUENCE
SORTBY TAKE TEXTAFTER TEXTBEFORE TEXTSPLIT TOCOL TOROW UNIQUE VSTACK WRAPCOLS WRAPROWS XLOOKUP XMATCH
"""
# Two that stand without one all the same.
NEWER = frozenset(_NEWER.split()) - {"NETWORKDAYS.INTL", "WORKDAY.INTL"}
SHEETS = frozenset({"FILTER", "SORT"})
SPILLING = SHEETS | {
    "UNIQUE", "SORTBY", "SEQUENCE", "RANDARRAY", "TEXTSPLIT", "VSTACK", "HSTACK", "TOCOL", "TOROW", "TAKE", "DROP",
}  # fmt: skip

_PIECES = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')|(?<![\w.])([A-Za-z][A-Za-z0-9.]*)(?=\()""")


def lacking(formula: str) -> list[str]:
    """The functions of a formula that need a prefix and have none."""
    names = {match[2].upper() for match in _PIECES.finditer(formula) if match[2]}
    return sorted(names & (NEWER | SHEETS))


def prefixed(formula: str) -> str:
    def one(match: re.Match[str]) -> str:
        name = (match[2] or "").upper()
        before = "_xlfn._xlws." if name in SHEETS else "_xlfn." if name in NEWER else ""
        return before + match[0]

    return _PIECES.sub(one, formula)


def spilling(formula: str) -> list[str]:
    """The functions of a formula that give several cells."""
    names = {match[0].upper() for match in re.finditer(r"[A-Za-z]+(?=\()", re.sub('"[^"]*"', "", formula))}
    return sorted(names & SPILLING)
