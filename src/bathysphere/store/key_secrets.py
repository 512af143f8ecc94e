"""Secrets of keys: how they are made, what is kept of them, and when they were last used.

A secret holds 256 random bits. Only its SHA-256 is kept. A slow hash (scrypt, argon2) protects secrets that can be
guessed; 2**256 guesses are out of reach however fast each one is, so it would only slow down every request.
Looking the hash up in an index gives away no useful timing: who sends a secret cannot choose its hash.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import update

from bathysphere.store.database import Database, DatabaseFull
from bathysphere.store.schema import AdminKeyRow, ApiKeyRow

_RANDOM_BYTES: Final = 32
_HINT_CHARACTERS: Final = 4
# Longer than any secret of ours; what is longer is not even hashed.
_LONGEST: Final = 256
_LAST_USED_STEP: Final = timedelta(minutes=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Secret:
    """A new secret, and what is kept of it. ``hint`` is how it ends."""

    text: str
    sha256: str
    hint: str


def new_secret(prefix: str) -> Secret:
    """A secret that nobody has seen."""
    text = prefix + secrets.token_urlsafe(_RANDOM_BYTES)
    return Secret(text, _hash(text), f"sk-…{text[-_HINT_CHARACTERS:]}")


def hashed(secret: str) -> str | None:
    """What would be kept of this secret; None for what is too long to be one."""
    return None if len(secret) > _LONGEST else _hash(secret)


async def note_use(
    database: Database,
    table: type[ApiKeyRow] | type[AdminKeyRow],
    key_id: str,
    last_used_at: datetime | None,
    now: datetime,
) -> None:
    """Let ``last_used_at``, which is the one known so far, follow: at most once a minute."""
    if last_used_at is not None and last_used_at > now - _LAST_USED_STEP:
        return
    try:
        async with database.writing() as session:
            await session.execute(update(table).where(table.id == key_id).values(last_used_at=now))
    except DatabaseFull:
        # A full disk must not lock out those who come to delete files.
        _log.warning("the time at which key %s was last used could not be written", key_id, exc_info=True)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
