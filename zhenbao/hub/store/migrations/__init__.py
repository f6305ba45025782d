"""Alembic migrations of the hub's database; applied when the hub starts."""
