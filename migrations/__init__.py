"""Alembic migrations; `catalog.db.Database.migrate` runs them."""
