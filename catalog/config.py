"""Settings from the environment. Each has a default, so nothing must be set to start."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from catalog.errors import ConfigError
from catalog.gallery import ServerOptions
from embedder.bundle import RELEASED

#: Characters that a key for signing sessions has at least.
MIN_SECRET = 16
#: Milliseconds after which a recognition looks at no further photo.
SECOND_LOOK_MS = 250
#: Days that answers stay in the log.
LOG_DAYS = 90


Number = TypeVar("Number", int, None)


@dataclass(frozen=True)
class Settings:
    """Where the parts are. The embedded default keeps everything below `data`."""

    data: Path
    database: str
    gallery: str
    photos: str
    model: Path
    jobs: str = field(default="local", repr=False)  # a broker's URL may hold a password
    second_look: str = "auto"
    second_look_ms: int = SECOND_LOOK_MS
    log_days: int = LOG_DAYS
    gallery_api_key: str | None = field(default=None, repr=False)
    gallery_options: ServerOptions = field(default_factory=ServerOptions)
    secret_key: str | None = field(default=None, repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read CATALOG_* variables. Raises ConfigError for a value that can't be understood."""
        env = os.environ if env is None else env
        data = Path(env.get("CATALOG_DATA") or "catalog-data").absolute()
        settings = cls(
            data=data,
            database=env.get("CATALOG_DATABASE") or f"sqlite:///{data / 'catalog.db'}",
            gallery=env.get("CATALOG_GALLERY") or f"edge:{data / 'gallery'}",
            photos=env.get("CATALOG_PHOTOS") or f"file:{data / 'photos'}",
            model=Path(env.get("CATALOG_MODEL") or RELEASED).absolute(),
            jobs=env.get("CATALOG_JOBS") or "local",
            second_look=env.get("CATALOG_SECOND_LOOK") or "auto",
            second_look_ms=_whole(env, "CATALOG_SECOND_LOOK_MS", 999_999, "milliseconds", SECOND_LOOK_MS),
            log_days=_whole(env, "CATALOG_LOG_DAYS", 99_999, "days", LOG_DAYS, least=0),
            gallery_api_key=env.get("CATALOG_GALLERY_API_KEY") or None,
            gallery_options=_server_options(env),
            secret_key=env.get("CATALOG_SECRET_KEY") or None,
        )
        settings.check()
        return settings

    def check(self) -> None:
        """Raises ConfigError for a value that no part understands, naming the variable and what it may be."""
        forms = {
            "CATALOG_DATABASE": (
                self.database,
                r"(sqlite:///|postgresql(\+psycopg)?://).+",
                "sqlite:///PATH or postgresql+psycopg://...",
            ),
            "CATALOG_GALLERY": (self.gallery, r"(edge:|https?://).+", "edge:PATH or http://HOST:6333"),
            "CATALOG_PHOTOS": (self.photos, r"(file:|s3://).+", "file:PATH or s3://BUCKET/PREFIX"),
            "CATALOG_JOBS": (self.jobs, r"local|(redis|amqp)s?://.+", "local, redis://HOST/NUMBER or amqp://HOST//"),
            "CATALOG_SECOND_LOOK": (self.second_look, "auto|always|off", "auto, always or off"),
        }
        for name, (value, pattern, form) in forms.items():
            if not re.fullmatch(pattern, value) or value.startswith("sqlite:///:memory:"):
                shown = re.sub(r"//[^/]*@", "//***@", value)  # a user and a password stay out of messages and logs
                raise ConfigError(f"{name}={shown!r} is not understood: it is {form}.")

    @property
    def bundles(self) -> Path:
        """Folder that keeps a copy of every bundle in use, by id."""
        return self.data / "bundles"


def _server_options(env: Mapping[str, str]) -> ServerOptions:
    usual = ServerOptions()
    ca = env.get("CATALOG_GALLERY_CA")
    return ServerOptions(
        timeout=_whole(env, "CATALOG_GALLERY_TIMEOUT", 300, "seconds", usual.timeout),
        tries=_whole(env, "CATALOG_GALLERY_TRIES", 10, "tries", usual.tries),
        grpc_port=_whole(env, "CATALOG_GALLERY_GRPC", 65_535, "the gRPC port", None),
        ca=Path(ca).absolute() if ca else None,
        shards=_whole(env, "CATALOG_GALLERY_SHARDS", 1000, "shards", None),
        replicas=_whole(env, "CATALOG_GALLERY_REPLICAS", 100, "replicas", None),
        on_disk=_switch(env, "CATALOG_GALLERY_ON_DISK"),
        quantized=_switch(env, "CATALOG_GALLERY_QUANTIZED"),
    )


def _whole(env: Mapping[str, str], name: str, most: int, what: str, default: Number, *, least: int = 1) -> int | Number:
    """A number from `least` to `most`."""
    value = env.get(name)
    if not value:
        return default
    if not re.fullmatch("[0-9]{1,6}", value) or not least <= int(value) <= most:
        raise ConfigError(f"{name}={value!r} is not understood: it is a whole number from {least} to {most} ({what}).")
    return int(value)


def _switch(env: Mapping[str, str], name: str) -> bool:
    value = env.get(name) or "off"
    if value not in ("on", "off"):
        raise ConfigError(f"{name}={value!r} is not understood: it is on or off.")
    return value == "on"


def is_loopback(host: str) -> bool:
    """Whether a bind address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"  # any other name may mean any address


def secret_key(settings: Settings, host: str) -> str:
    """The key that signs sessions: CATALOG_SECRET_KEY, or on a local bind one made once and kept in the data folder.

    Raises ConfigError when it is unset and the server would listen beyond the loopback, or is too short to be one.
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
        with suppress(FileExistsError):  # never in the place of another process's key
            os.link(file.name, path)  # whole from the first moment
