"""Patterns of texts, as they are described: in the form that ECMAScript, Python and Rust read alike."""

from __future__ import annotations

#: No control characters: no database takes them, and no page shows them.
PLAIN = r"^[^\x00-\x1f\x7f-\x9f]*$"
#: The same, and something that can be seen.
SEEN = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$"
#: A GTIN as it is answered: 14 digits, zeros in front.
GTIN = r"^[0-9]{14}$"
#: A SHA-256 in hexadecimal digits.
SHA256 = r"^[0-9a-f]{64}$"
#: The id of a bundle.
BUNDLE = r"^[0-9a-f]{12}$"
