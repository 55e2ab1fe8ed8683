"""Settings from the environment. Each has a default, so none has to be set."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

from catalog import rates
from catalog.errors import ConfigError
from catalog.normalization import plain
from embedder.bundle import RELEASED

#: Time limit of re-ranking ("second look"): milliseconds of a recognition after which no further photo is verified.
SECOND_LOOK_MS = 250
#: Share of wrong ones among a product's matches that its margin aims at, and the most that can be asked for.
WRONG_MATCHES, MOST_WRONG = 0.01, 0.5
#: What a new model may do worse than the live one and be switched to all the same: the share of queries that have their
#: product first may fall by so much, of a product by so much; and so many of its matches may be wrong.
SWITCH_WORSE, SWITCH_PRODUCT, SWITCH_WRONG = 0.01, 0.5, 0.02
#: Retention of the answer log, in days.
LOG_DAYS = 90
#: Photos that were not recognized are kept for so many days, and no more than so many megabytes of them.
INBOX_DAYS, INBOX_MB = 30, 200
#: Changes can be read for so many days by those who follow them.
CHANGES_DAYS = 30
#: A session of the staff ends after so many hours without a request, and after so many days in any case.
SESSION_HOURS, SESSION_DAYS = 12, 30
#: When the nightly runs are due, by the clock of the machine: few customers are there.
NIGHTLY = time(3)

Number = TypeVar("Number", int, None)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Who may read /metrics: programs of this machine.
LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a Qdrant server is called, and how it stores generations created from now on (None: its own default)."""

    timeout: int = 5
    """Timeout of one try, in seconds: by gRPC for the whole response, by HTTP for each part of it."""
    tries: int = 3
    """Tries of a call while the server does not answer or is unavailable; the pause is 100 ms, then doubles."""
    grpc_port: int | None = None
    """Port of the server's gRPC interface; None: HTTP."""
    ca: Path | None = None
    """CA certificates (PEM) that verify the server's certificate, in place of the public ones."""
    shards: int | None = None
    replicas: int | None = None
    on_disk: bool = False
    """Vectors and visual words are read from disk on demand, not kept in memory."""
    quantized: bool = False
    """Search an int8 copy of the vectors (scalar quantization), then rescore the hits by the original vectors."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """When a session of the staff ends by itself: after `idle` without a request, and after `longest` in any case."""

    idle: timedelta = timedelta(hours=SESSION_HOURS)
    longest: timedelta = timedelta(days=SESSION_DAYS)


@dataclass(frozen=True)
class MailSettings:
    """A mail server, smtp://HOST:PORT (STARTTLS where it offers that) or smtps://USER:PASSWORD@HOST:PORT, and the
    addresses of who is written to, and by whom.
    """

    server: str = field(repr=False)
    to: tuple[str, ...]
    sender: str


@dataclass(frozen=True)
class Settings:
    """Where each part is. By default all are embedded, below the folder `data`."""

    data: Path
    database: str = field(repr=False)  # a URL may hold a password
    gallery: str
    photos: str
    model: Path
    jobs: str = field(default="local", repr=False)
    limits: str = field(default="memory", repr=False)
    """Where requests of keys are counted: in each process's memory, or redis://... for all of them together."""
    key_rate: rates.Rate | None = None
    """How often a key may ask that has no limit of its own; None: as often as it likes."""
    second_look: str = "auto"
    second_look_ms: int = SECOND_LOOK_MS
    wrong_matches: float = WRONG_MATCHES
    switch_worse: float = SWITCH_WORSE
    switch_product: float = SWITCH_PRODUCT
    switch_wrong: float = SWITCH_WRONG
    log_days: int = LOG_DAYS
    inbox_days: int = INBOX_DAYS
    inbox_mb: int = INBOX_MB
    changes_days: int = CHANGES_DAYS
    webhook_private: bool = False
    """Webhooks may reach addresses of private networks, and this machine."""
    nightly: time | None = NIGHTLY
    """When coverage and the doctor are due every night, by the clock of the machine; None: never."""
    sessions: SessionLimits = field(default_factory=SessionLimits)
    gallery_api_key: str | None = field(default=None, repr=False)
    gallery_options: ServerOptions = field(default_factory=ServerOptions)
    secret_key: str | None = field(default=None, repr=False)
    mail: MailSettings | None = field(default=None, repr=False)
    """How the report of a night is mailed; None: it is not."""
    trusted_proxies: tuple[Network, ...] = ()
    """Proxies whose forwarded address and scheme are believed."""
    metrics: tuple[Network, ...] = LOOPBACK
    """Addresses that may read /metrics; none: nobody."""
    log: str = "text"
    """What servers and workers log: lines of text, or json: an object a line."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read CATALOG_* variables, or the files that CATALOG_*_FILE name. Raises ConfigError for an invalid value."""
        env = with_files(os.environ if env is None else env)
        data = _data_folder(env)
        settings = cls(
            data=data,
            database=_database_url(env, data),
            gallery=env.get("CATALOG_GALLERY") or f"edge:{data / 'gallery'}",
            photos=env.get("CATALOG_PHOTOS") or f"file:{data / 'photos'}",
            model=Path(env.get("CATALOG_MODEL") or RELEASED).absolute(),
            jobs=env.get("CATALOG_JOBS") or "local",
            limits=env.get("CATALOG_LIMITS") or _redis_of_jobs(env) or "memory",
            key_rate=_rate(env, "CATALOG_KEY_RATE"),
            second_look=env.get("CATALOG_SECOND_LOOK") or "auto",
            second_look_ms=_whole(env, "CATALOG_SECOND_LOOK_MS", 999_999, "milliseconds", SECOND_LOOK_MS),
            wrong_matches=_share(env, "CATALOG_WRONG_MATCHES", MOST_WRONG, WRONG_MATCHES),
            switch_worse=_share(env, "CATALOG_SWITCH_WORSE", 1, SWITCH_WORSE, least=0),
            switch_product=_share(env, "CATALOG_SWITCH_PRODUCT", 1, SWITCH_PRODUCT, least=0),
            switch_wrong=_share(env, "CATALOG_SWITCH_WRONG", 1, SWITCH_WRONG, least=0),
            log_days=_whole(env, "CATALOG_LOG_DAYS", 99_999, "days", LOG_DAYS, least=0),
            inbox_days=_whole(env, "CATALOG_INBOX_DAYS", 99_999, "days", INBOX_DAYS, least=0),
            inbox_mb=_whole(env, "CATALOG_INBOX_MB", 99_999, "megabytes", INBOX_MB),
            changes_days=_whole(env, "CATALOG_CHANGES_DAYS", 99_999, "days", CHANGES_DAYS),
            webhook_private=_switch(env, "CATALOG_WEBHOOK_PRIVATE"),
            nightly=_time_of_day(env, "CATALOG_NIGHTLY", NIGHTLY),
            sessions=_session_limits(env),
            gallery_api_key=env.get("CATALOG_GALLERY_API_KEY") or None,
            gallery_options=_server_options(env),
            secret_key=env.get("CATALOG_SECRET_KEY") or None,
            mail=_mail(env),
            trusted_proxies=_networks(env, "CATALOG_TRUSTED_PROXIES"),
            metrics=_networks(env, "CATALOG_METRICS", LOOPBACK),
            log=env.get("CATALOG_LOG") or "text",
        )
        settings.check()
        return settings

    def check(self) -> None:
        """Raises ConfigError for an invalid value, naming the variable and the forms it may have."""
        forms = {
            "CATALOG_DATABASE": (
                self.database,
                r"(sqlite:///|postgresql(\+psycopg)?://).+",
                "sqlite:///PATH or postgresql+psycopg://...",
            ),
            "CATALOG_GALLERY": (
                self.gallery,
                r"(edge:|https?://).+",
                "edge:PATH or http://HOST:6333 (of a cluster several, with commas)",
            ),
            "CATALOG_PHOTOS": (self.photos, r"(file:|s3://).+", "file:PATH or s3://BUCKET/PREFIX"),
            "CATALOG_JOBS": (self.jobs, r"local|(redis|amqp)s?://.+", "local, redis://HOST/NUMBER or amqp://HOST//"),
            "CATALOG_LIMITS": (self.limits, r"memory|rediss?://.+", "memory or redis://HOST/NUMBER"),
            "CATALOG_SECOND_LOOK": (self.second_look, "auto|always|off", "auto, always or off"),
            "CATALOG_LOG": (self.log, "text|json", "text or json"),
        }
        for name, (value, pattern, form) in forms.items():
            if not re.fullmatch(pattern, value) or not plain(value) or value.startswith("sqlite:///:memory:"):
                shown = re.sub(r"//.*@", "//***@", value)  # a user and a password stay out of messages and logs
                raise ConfigError(f"{name}={shown!r} is not understood: it is {form}.")

    @property
    def is_gallery_embedded(self) -> bool:
        """Whether one process at a time has a generation open: no server has the gallery."""
        return self.gallery.startswith("edge:")

    @property
    def bundles(self) -> Path:
        """Folder with a copy of every bundle in use, by id."""
        return self.data / "bundles"


def with_files(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with the content of files: CATALOG_NAME is what is in the file that CATALOG_NAME_FILE names.

    Docker and Kubernetes give secrets as files, since anybody who may look at a container sees its variables. Raises
    ConfigError, without the content: a file can't be read, is empty or has several lines, or both are given.
    """
    found = dict(env)
    for variable, file in env.items():
        name = variable.removesuffix("_FILE")
        if name == variable or not name.startswith("CATALOG_") or not file:
            continue
        if env.get(name):
            raise ConfigError(f"{name} and {variable} are both given: give one of them.")
        try:
            value = Path(file).read_text("utf-8").rstrip("\r\n")  # most tools end a file with a new line
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigError(f"{variable}={file!r} can't be read: {why}.") from None
        if not value or not plain(value):
            what = "holds more than one line of text" if value else "is empty"
            raise ConfigError(f"{variable}={file!r} {what}: it is to hold the value of {name} alone.")
        found[name] = value
    return found


def _data_folder(env: Mapping[str, str]) -> Path:
    data = Path(env.get("CATALOG_DATA") or "catalog-data").absolute()
    if not plain(str(data)):
        # Not every part can open it: the gallery's engine takes UTF-8 alone, and a message would be torn apart.
        raise ConfigError(f"CATALOG_DATA={str(data)!a} has a character that can't be shown: give another folder.")
    return data


def _database_url(env: Mapping[str, str], data: Path) -> str:
    """The database's URL, with the password that is given apart from it."""
    url = env.get("CATALOG_DATABASE") or _sqlite_url(data / "catalog.db")
    password = env.get("CATALOG_DATABASE_PASSWORD")
    if not password:
        return url
    found = re.fullmatch(r"(postgresql(?:\+psycopg)?://[^/:@?#]+)(@[^@]+)", url)
    if not found:
        raise ConfigError(
            "CATALOG_DATABASE_PASSWORD belongs to a CATALOG_DATABASE that names a user and no password: "
            "postgresql+psycopg://USER@HOST/NAME."
        )
    return f"{found[1]}:{quote(password, safe='')}{found[2]}"


def _sqlite_url(path: Path) -> str:
    """A URL, so what means something in one is quoted: else two folders, A?B and A?C, would share a database."""
    return f"sqlite:///{quote(str(path), safe=' +/')}"


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


def _redis_of_jobs(env: Mapping[str, str]) -> str:
    """The Redis that carries the jobs; "" where another broker or none does."""
    jobs = env.get("CATALOG_JOBS") or ""
    return jobs if re.match("rediss?://", jobs) else ""


def _mail(env: Mapping[str, str]) -> MailSettings | None:
    """Raises ConfigError for what is no mail server or no address, or where one of both is missing."""
    server, told = env.get("CATALOG_MAIL_SERVER") or "", env.get("CATALOG_MAIL_TO") or ""
    if not server and not told:
        return None
    try:
        parts = urlsplit(server)
        is_server = parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_server = False
    if not is_server or not plain(server):
        raise ConfigError("CATALOG_MAIL_SERVER is smtp://HOST:25 or smtps://USER:PASSWORD@HOST:465.")
    to = tuple(re.split(r"[,\s]+", told.strip(", ")))
    sender = env.get("CATALOG_MAIL_FROM") or to[0]
    for address in (*to, sender):
        if not re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", address) or not plain(address) or not address.isascii():
            raise ConfigError(f"CATALOG_MAIL_TO and CATALOG_MAIL_FROM are mail addresses, and {address!r} is none.")
    return MailSettings(server, to, sender)


def _rate(env: Mapping[str, str], name: str) -> rates.Rate | None:
    """A rate; None for "off", which is the default."""
    try:
        return rates.parse(env.get(name) or rates.OFF)
    except ValueError as error:
        raise ConfigError(f"{name} is not understood: {error}") from error


def _session_limits(env: Mapping[str, str]) -> SessionLimits:
    return SessionLimits(
        idle=timedelta(hours=_whole(env, "CATALOG_SESSION_HOURS", 8784, "hours", SESSION_HOURS)),
        longest=timedelta(days=_whole(env, "CATALOG_SESSION_DAYS", 366, "days", SESSION_DAYS)),
    )


def _whole(env: Mapping[str, str], name: str, most: int, what: str, default: Number, *, least: int = 1) -> int | Number:
    """An integer from `least` to `most`."""
    value = env.get(name)
    if not value:
        return default
    if not re.fullmatch("[0-9]{1,6}", value) or not least <= int(value) <= most:
        raise ConfigError(f"{name}={value!r} is not understood: it is a whole number from {least} to {most} ({what}).")
    return int(value)


def _share(env: Mapping[str, str], name: str, most: float, default: float, *, least: float | None = None) -> float:
    """A number above 0, or from `least` on, at most `most`."""
    value = env.get(name)
    if not value:
        return default
    is_number = re.fullmatch(r"[0-9]{0,3}\.?[0-9]{1,9}", value)
    if not is_number or not (float(value) > 0 if least is None else float(value) >= least) or float(value) > most:
        start = "above 0" if least is None else f"from {least}"
        raise ConfigError(f"{name}={value!r} is not understood: it is a share {start}, at most {most} (0.01 is 1 %).")
    return float(value)


def _networks(env: Mapping[str, str], name: str, default: tuple[Network, ...] = ()) -> tuple[Network, ...]:
    """Addresses and networks, with commas or spaces between them; none for "off"."""
    value = (env.get(name) or "").strip(", ")
    if not value:
        return default
    found = []
    for text in re.split(r"[,\s]+", "" if value == "off" else value):
        try:
            found += [ipaddress.ip_network(text, strict=False)] if text else []
        except ValueError as error:
            raise ConfigError(
                f"{name} is not understood: {text!r} is no address (10.0.0.2) and no network (10.0.0.0/8)."
            ) from error
    return tuple(found)


def _time_of_day(env: Mapping[str, str], name: str, default: time) -> time | None:
    """HH:MM; None for "off"."""
    value = env.get(name)
    if not value or value == "off":
        return None if value else default
    found = re.fullmatch("([01]?[0-9]|2[0-3]):([0-5][0-9])", value)
    if not found:
        raise ConfigError(f"{name}={value!r} is not understood: it is a time of day, as 03:00, or off.")
    return time(int(found[1]), int(found[2]))


def _switch(env: Mapping[str, str], name: str) -> bool:
    value = env.get(name) or "off"
    if value not in ("on", "off"):
        raise ConfigError(f"{name}={value!r} is not understood: it is on or off.")
    return value == "on"
