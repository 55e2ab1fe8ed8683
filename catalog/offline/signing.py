"""Signatures of archives: Ed25519 (RFC 8032), by a key of this catalog's own."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.config import Settings
from catalog.errors import ConfigError
from catalog.offline.errors import BundleRefusedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: What is signed begins with this, so that no signature is good for anything else; and what the key is derived for.
CONTEXT = b"photo-catalog offline bundle 1\n"
#: The file below CATALOG_DATA that holds the key's 32 random bytes as hex, where CATALOG_SECRET_KEY is not set.
KEY_FILE = "offline-key"


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """The key that signs this catalog's archives.

    Derived (HKDF, RFC 5869) from CATALOG_SECRET_KEY, so that all hosts of a catalog have the same; else one that is
    generated once and kept in the data folder. Raises ConfigError when that can't be read or written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    if settings.secret_key:
        derived = HKDF(SHA256(), 32, salt=None, info=CONTEXT).derive(settings.secret_key.encode())
        return Ed25519PrivateKey.from_private_bytes(derived)
    path = settings.data / KEY_FILE
    try:
        if not path.exists():
            _keep_new_key(path)
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text().strip()))
    except OSError as error:
        raise ConfigError(f"The key that signs archives can't be kept in {path}: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(
            f"{path} holds no key: remove it, and a new one is made, which tills must be told."
        ) from error


def public_text(key: Ed25519PrivateKey) -> str:
    """The public key, as tills are told it: 64 hex digits."""
    return key.public_key().public_bytes_raw().hex()


def sign(key: Ed25519PrivateKey, data: bytes) -> bytes:
    """The signature of the data, 64 bytes."""
    return key.sign(CONTEXT + data)


def check(trusted: Collection[str], data: bytes, signature: bytes) -> None:
    """Raises BundleRefusedError unless one of the trusted public keys has signed the data."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    for text in trusted:
        with suppress(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(text)).verify(signature, CONTEXT + data)
            return
    raise BundleRefusedError(
        "The archive is not signed by a key that this till trusts: it is of another catalog, or was changed. "
        "`catalog offline-key` on the server prints its key; give that as --trust."
    )


def checked_key(text: str) -> str:
    """A public key that a person gives, in its one form. Raises ConfigError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.strip()))
    except ValueError:
        raise ConfigError(
            f"--trust {text[:80]!a} is no public key: it is 64 hex digits, as `catalog offline-key` prints them."
        ) from None
    return text.strip().lower()


def _keep_new_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{KEY_FILE}") as file:  # its owner's alone
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was faster
            os.link(file.name, path)  # atomic: complete from the first moment
