"""Alembic migrations; `catalog.storage.database.Database.migrate` runs them, by their path alone."""
