"""Errors of a till; no server answers with them."""

from __future__ import annotations

from catalog.errors import CatalogError


class BundleRefusedError(CatalogError):
    """An archive for offline tills that can't be used: damaged, not signed by a trusted key, too new, or a change of
    what this till does not have. Nothing of it was used.
    """

    code = "offline_bundle_refused"


class ServerUnreachableError(CatalogError):
    """The server of an offline till does not answer, or refuses; what the till has to send it waits."""

    code = "server_unreachable"
