"""The gallery: vectors and visual words of all reference photos, one collection ("generation") for each model bundle.

The rest of the catalog knows the protocol `Gallery` alone; nothing outside this package imports Qdrant. To add a back
end, write a class with the methods of `Gallery` and open it in `open_gallery`; tests/catalog/gallery/test_gallery.py
tests the contract.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from catalog.config import ServerOptions
from catalog.errors import ConfigError
from catalog.gallery.collection_schema import collection_name
from catalog.gallery.interface import Gallery, GalleryPoint, Hit, Vector

__all__ = ["Gallery", "GalleryPoint", "Hit", "Vector", "collection_name", "open_gallery"]


def open_gallery(url: str, *, api_key: str | None = None, options: ServerOptions | None = None) -> Gallery:
    """The gallery at "edge:PATH", "http(s)://HOST[:6333]" or several of these, with commas, which are nodes of one
    cluster; no file is opened and no server called yet.

    `api_key` and `options` are for a server. Raises ConfigError for any other URL, and for options that can't be used.
    """
    # Imported only when used: an embedded catalog never loads the client, nor a server's catalog the engine.
    scheme, _, path = url.partition(":")
    if scheme == "edge" and path:
        from catalog.gallery.edge import EdgeGallery

        return EdgeGallery(Path(path))
    nodes = list(dict.fromkeys(node.strip() for node in url.split(",")))
    if all(map(_is_server, nodes)):
        from catalog.gallery.server import ServerGallery

        return ServerGallery.open(",".join(nodes), api_key, options or ServerOptions())
    raise ConfigError(
        "The gallery's URL is not understood: it is edge:PATH or http://HOST:6333 (no user or password), or several of "
        "these with commas between, which are nodes of one cluster."
    )


def _is_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port checks it. A password in a URL would end up in messages and logs; the API key has a setting.
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        )
    except ValueError:
        return False
