"""Alembic migrations; `catalog.storage.database.Database.migrate` runs them, and finds them by path."""
