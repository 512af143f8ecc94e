"""Alembic's way in. The connection comes from ``bathysphere.store.database``, which already holds the write lock."""

from __future__ import annotations

from alembic import context

from bathysphere.store.schema import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
