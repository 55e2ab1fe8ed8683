"""The application factory. It starts no thread and no server: web/__main__.py does."""

from __future__ import annotations

from flask import Flask, Response, redirect, url_for

from catalog import admission
from catalog.catalog import Catalog
from embedder.barcodes import gtin
from web import (
    access,
    admin,
    api,
    errors,
    health,
    links,
    login,
    metrics,
    multipart,
    pictures,
    problem_pages,
    routes,
    security,
)
from web.proxies import TrustedProxies
from web.request_ids import RequestIds
from web.skus import SkuConverter
from web.words import counted


def create_app(catalog: Catalog, secret_key: str) -> Flask:
    """The Flask app with pages and API for one open catalog."""
    app = errors.LoggedWithoutTokens(__name__)
    app.config.update(
        SECRET_KEY=secret_key,
        MAX_CONTENT_LENGTH=routes.MAX_FORM_REQUEST,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # a form left open over lunch still works; the token expires with the session
        CATALOG=catalog,
    )
    app.jinja_env.filters["printed_gtin"] = gtin.printed_gtin
    app.jinja_env.filters["counted"] = counted
    app.jinja_env.filters["photo_warning"] = lambda code: admission.WARNING_LABELS.get(code, code)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the decision first, as the docs show it
    app.url_map.converters["sku"] = SkuConverter
    multipart.init_app(app)
    app.wsgi_app = TrustedProxies(app.wsgi_app, catalog.settings.trusted_proxies)  # type: ignore[method-assign]
    app.wsgi_app = RequestIds(app.wsgi_app)  # type: ignore[method-assign]  # around all that may answer
    metrics.init_app(app, catalog.settings.metrics, metrics.CatalogState(catalog))
    errors.init_app(app)
    routes.init_app(app)
    security.init_app(app)
    login.init_app(app)
    access.init_app(app)  # after the check of a form's token, as that needs no database
    links.init_app(app)
    health.init_app(app, catalog)
    app.register_blueprint(pictures.blueprint)
    app.register_blueprint(problem_pages.blueprint)
    api.init_app(app)
    admin.init_app(app)

    @app.get("/")
    def home() -> Response:
        """The products are the start page."""
        return redirect(url_for("products.index"))  # type: ignore[return-value]

    return app
