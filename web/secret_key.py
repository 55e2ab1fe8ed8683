"""The key that signs sessions."""

from __future__ import annotations

import ipaddress
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from catalog.config import Settings
from catalog.errors import ConfigError

#: Minimum length of the key, in characters.
MIN_SECRET = 16


def is_loopback(host: str) -> bool:
    """Whether a bind address is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"  # any other name may mean any address


def secret_key(settings: Settings, host: str) -> str:
    """The key that signs sessions: CATALOG_SECRET_KEY, or on a loopback bind one generated and kept in the data folder.

    Raises ConfigError when it is unset and the server would listen beyond the loopback, or when it is too short.
    """
    if settings.secret_key:
        if len(settings.secret_key) < MIN_SECRET:
            raise ConfigError(
                f"CATALOG_SECRET_KEY is too short: at least {MIN_SECRET} characters, better 32 random ones."
            )
        return settings.secret_key
    if not is_loopback(host):
        raise ConfigError(
            f"CATALOG_SECRET_KEY must be set to listen on {host or 'all addresses'}: sessions of an open network are "
            "never signed by a key that was made by default. Make one: "
            "python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    path = settings.data / "secret-key"
    try:
        if not path.exists():
            _keep_new_key(path)
        key = path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"The key that signs sessions can't be kept in {path}: {error.strerror}.") from error
    if len(key) < MIN_SECRET:
        raise ConfigError(f"{path} holds no key: remove it, and a new one is made.")
    return key


def _keep_new_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret-key") as file:  # readable by its owner only
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):  # never replaces another process's key
            os.link(file.name, path)  # atomic: complete from the first moment
