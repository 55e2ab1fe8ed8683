"""The staff's pages, on Flask-Admin: it provides the menu and the tables, catalog/ makes every change."""

from __future__ import annotations

from flask import Flask
from flask_admin import Admin
from flask_admin.theme import Bootstrap4Theme

from web.admin.add import AddView
from web.admin.audit import AuditView
from web.admin.inbox import InboxView
from web.admin.keys import KeysView
from web.admin.products import ProductsView
from web.admin.tryout import TryView


def init_app(app: Flask) -> None:
    """Register the pages; the product list is the first."""
    admin = Admin(
        app,
        name="Catalog",
        theme=Bootstrap4Theme(base_template="layout.html"),
        index_view=ProductsView(name="Products", endpoint="products", url="/products"),
    )
    admin.add_view(AddView(name="Add a product", endpoint="add", url="/add"))
    admin.add_view(InboxView(name="Not recognized", endpoint="inbox", url="/inbox"))
    admin.add_view(TryView(name="Try a photo", endpoint="try", url="/try"))
    admin.add_view(KeysView(name="Keys", endpoint="keys", url="/keys"))
    admin.add_view(AuditView(app.config["CATALOG"], name="Audit log", endpoint="audit", url="/audit"))
