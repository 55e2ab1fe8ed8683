"""The audit log, to read and search."""

from __future__ import annotations

import warnings
from typing import Any

from flask_admin.contrib.sqla import ModelView
from sqlalchemy.orm import scoped_session, sessionmaker

from catalog.catalog import Catalog
from catalog.storage.tables import AuditEntry
from web.admin.base import SignedInOnly


class AuditView(SignedInOnly, ModelView):  # type: ignore[misc]
    """Flask-Admin's own table, read-only: nobody edits the log."""

    can_create = can_edit = can_delete = False
    column_list = ("at", "actor", "action", "subject", "before", "after")
    column_searchable_list = ("actor", "action", "subject")
    column_default_sort = ("id", True)
    column_formatters = {"at": lambda _view, _context, row, _name: f"{row.at:%Y-%m-%d %H:%M:%S} UTC"}  # noqa: RUF012
    list_template = "pages/audit.html"
    page_size = 50

    def __init__(self, catalog: Catalog, **kwargs: Any) -> None:
        self._sessions = scoped_session(sessionmaker(catalog.database.engine))
        with warnings.catch_warnings():
            # Flask-Admin 3 will require a Flask extension instead of a session; pyproject.toml pins 2.
            warnings.filterwarnings("ignore", "Passing a session object directly", DeprecationWarning)
            super().__init__(AuditEntry, self._sessions, **kwargs)

    def create_blueprint(self, admin: Any) -> Any:
        """End the session with each request: an open one would show stale rows."""
        blueprint = super().create_blueprint(admin)
        blueprint.teardown_request(lambda _error: self._sessions.remove())
        return blueprint
