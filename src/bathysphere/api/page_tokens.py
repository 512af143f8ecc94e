"""Tokens that say where the next page of a list begins, for lists in the order of creation."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Final

from bathysphere.store.timestamps import from_microseconds, to_microseconds
from bathysphere.wire.errors import InvalidRequest

_PAGE: Final = "page_"
_TEXT: Final = re.compile(r"([0-9]{1,18}):([A-Za-z0-9_-]{1,128})", re.ASCII)


def token(created_at: datetime, item_id: str) -> str:
    """Where the next page begins: behind this item, whether or not it still exists by then."""
    text = f"{to_microseconds(created_at)}:{item_id}"
    return _PAGE + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(page: str) -> tuple[datetime, str]:
    """When the last item of the page before was made, and its id. Raises InvalidRequest."""
    encoded = page.removeprefix(_PAGE)
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found = _TEXT.fullmatch(text)
    if not page.startswith(_PAGE) or found is None:
        raise InvalidRequest("page: not a page of this list; use the `next_page` of the page before")
    try:
        return from_microseconds(int(found[1])), found[2]
    except OverflowError as error:
        raise InvalidRequest("page: not a page of this list; use the `next_page` of the page before") from error
