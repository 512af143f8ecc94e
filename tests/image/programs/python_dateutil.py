"""A date is parsed, moved by a month, repeated weekly and placed in a time zone."""

from datetime import datetime

from dateutil import parser, relativedelta, rrule, tz

day = parser.parse("31 January 2025 10:00")
assert day + relativedelta.relativedelta(months=1) == datetime(2025, 2, 28, 10)
assert len(list(rrule.rrule(rrule.WEEKLY, count=3, dtstart=day))) == 3
assert day.replace(tzinfo=tz.gettz("America/New_York")).utcoffset().total_seconds() == -5 * 3600
