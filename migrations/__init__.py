"""Alembic migrations; `catalog.db.Database.migrate` runs them."""

#: The newest revision. A test holds it against the scripts; here, so that a start need not read them.
HEAD = "0003"
