"""Summer time and winter time, by pytz and by the standard library."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytz

paris = pytz.timezone("Europe/Paris")
assert paris.localize(datetime(2025, 7, 1)).utcoffset().total_seconds() == 7200
assert datetime(2025, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo")).utcoffset().total_seconds() == 9 * 3600
