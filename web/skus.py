"""SKUs in addresses: any SKU is one part of a path, whatever characters it holds."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from werkzeug.routing import BaseConverter


class SkuConverter(BaseConverter):
    """A SKU in a path. `/`, `\\` and `%` are escaped twice: servers and proxies decode a path once, and split it then.

    A SKU that was put into an address without that is understood, too, unless it reads like a page of the product. An
    address of the API below a product is none of another product: it has methods of its own, and is answered 405 for
    others.
    """

    regex = r"(?:(?!/(?:photos(?:/[^/]+(?:/file)?)?|recognitions|rename)\Z).)+?"
    part_isolating = False
    weight = 200

    def to_url(self, value: str) -> str:
        """SKU -> part of a path."""
        return quote(re.sub(r"[/\\%]", lambda found: quote(found[0], safe=""), value), safe="")

    def to_python(self, value: str) -> str:
        """Part of a path, decoded once -> SKU."""
        return unquote(value)
