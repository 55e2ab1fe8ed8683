"""The audit log, to read and search."""

from __future__ import annotations

import warnings
from typing import Any

from flask_admin.contrib.sqla import ModelView
from sqlalchemy.orm import scoped_session, sessionmaker

from catalog.catalog import Catalog
from catalog.normalization import plain
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
    #: A table of so many pages would take days to page through; no database counts further than 2^63 rows.
    last_page = 1_000_000

    def __init__(self, catalog: Catalog, **kwargs: Any) -> None:
        self._sessions = scoped_session(sessionmaker(catalog.database.engine))
        with warnings.catch_warnings():
            # Flask-Admin 3 will require a Flask extension instead of a session; pyproject.toml pins 2.
            warnings.filterwarnings("ignore", "Passing a session object directly", DeprecationWarning)
            super().__init__(AuditEntry, self._sessions, **kwargs)
        # The library's other pages are for editing and exporting. (Its template names the one for actions.)
        self._urls: list[Any] = [url for url in self._urls if url[0] in ("/", "/action/")]

    def _get_list_extra_args(self) -> Any:
        """The arguments in the address, of which a database takes no page below 0 and no control characters."""
        given = super()._get_list_extra_args()
        given.page = min(max(given.page, 0), self.last_page)
        given.search = "".join(filter(plain, given.search or "")) or None
        return given

    def handle_action(self, return_view: str | None = None) -> Any:
        """There is no action: back to the table, never to the address that a request names."""
        return super().handle_action("index_view")

    def create_blueprint(self, admin: Any) -> Any:
        """End the session with each request: an open one would show stale rows."""
        blueprint = super().create_blueprint(admin)
        blueprint.teardown_request(lambda _error: self._sessions.remove())
        return blueprint
