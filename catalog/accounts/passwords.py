"""Passwords and tokens: only their hashes are stored."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from catalog.errors import InvalidInputError

#: Characters. The upper bound keeps a request from making the server hash megabytes.
MIN_PASSWORD, MAX_PASSWORD = 10, 1000
#: The hash of somebody who was invited and has no password yet.
NO_PASSWORD = ""
_hasher = PasswordHasher()


@cache
def _dummy() -> str:
    """Hash of a random password, verified where there is none, so that both cases take the same time."""
    return _hasher.hash(secrets.token_hex(16))


def hashed(password: str) -> str:
    """The hash to store. Raises InvalidInputError for a password that is too short, too long, or no text."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidInputError("password", f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
    try:
        return _hasher.hash(password)
    except UnicodeEncodeError as error:
        raise InvalidInputError("password", "The password holds half a character.") from error


def is_right(password_hash: str, password: str) -> bool:
    """Whether this is the password of the hash; takes as long for NO_PASSWORD."""
    dummy = _dummy()  # computed at the first sign-in, whether the name is known or not
    try:
        _hasher.verify(password_hash or dummy, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
    return bool(password_hash)


def new_token() -> str:
    """256 random bits: an unsalted SHA-256 of it is safe to store, and fast enough to check at each request."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """SHA-256 of a token or key, in hex."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
