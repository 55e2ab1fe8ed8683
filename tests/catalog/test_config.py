from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import time
from pathlib import Path

import pytest
from sqlalchemy import make_url

from catalog.catalog import Catalog
from catalog.config import ServerOptions, Settings
from catalog.errors import ConfigError
from catalog.rates import Rate
from embedder.bundle import RELEASED
from tests.support.qdrants import grpc_qdrant
from web.secret_key import is_loopback, secret_key

SERVER = ("TIMEOUT", "TRIES", "GRPC", "CA", "SHARDS", "REPLICAS", "ON_DISK", "QUANTIZED")
LONG = "a key of enough characters"


def test_nothing_must_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_env({})
    data = tmp_path / "catalog-data"
    assert settings == Settings(
        data=data,
        database=f"sqlite:///{data}/catalog.db",
        gallery=f"edge:{data}/gallery",
        photos=f"file:{data}/photos",
        model=RELEASED,
    )
    assert settings.gallery.startswith("edge:")
    assert settings.bundles == data / "bundles"
    assert not data.exists()


def test_an_empty_variable_is_an_unset_one(tmp_path: Path) -> None:
    names = ["DATABASE", "GALLERY", "PHOTOS", "MODEL", "SECRET_KEY", "GALLERY_API_KEY", "SECOND_LOOK_MS"]
    names += [f"GALLERY_{name}" for name in SERVER]
    empty = {f"CATALOG_{name}": "" for name in names}
    assert Settings.from_env({"CATALOG_DATA": str(tmp_path), **empty}) == Settings.from_env(
        {"CATALOG_DATA": str(tmp_path)}
    )


def test_each_part_can_be_moved() -> None:
    env = {
        "CATALOG_DATABASE": "postgresql+psycopg://me@host/db",
        "CATALOG_GALLERY": "http://host:6333",
        "CATALOG_PHOTOS": "s3://bucket/prefix",
        "CATALOG_GALLERY_API_KEY": "key",
    }
    settings = Settings.from_env(env)
    assert (settings.database, settings.gallery, settings.photos, settings.gallery_api_key) == tuple(env.values())
    assert not settings.gallery.startswith("edge:")


def test_how_a_server_is_called_and_keeps_generations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = ("20", "1", "6334", "ca.pem", "12", "3", "on", "on")
    env = {f"CATALOG_GALLERY_{name}": value for name, value in zip(SERVER, values, strict=True)}
    assert Settings.from_env(env).gallery_options == ServerOptions(
        timeout=20, tries=1, grpc_port=6334, ca=tmp_path / "ca.pem", shards=12, replicas=3, on_disk=True, quantized=True
    )
    env = {"CATALOG_GALLERY_ON_DISK": "off", "CATALOG_GALLERY_QUANTIZED": "off"}
    assert Settings.from_env(env).gallery_options == Settings.from_env({}).gallery_options == ServerOptions()


def test_the_gallery_is_opened_with_the_options(tmp_path: Path) -> None:
    with grpc_qdrant() as server:
        env = {
            "CATALOG_DATA": str(tmp_path),
            "CATALOG_GALLERY": "http://127.0.0.1:6333",
            "CATALOG_GALLERY_GRPC": str(server.port),
            "CATALOG_GALLERY_SHARDS": "2",
        }
        catalog = Catalog.open(Settings.from_env(env))
        catalog.generations.ready()
        catalog.close()
        (made,) = [message for call, message in server.calls if call == "Create"]
    assert made.shard_number == 2


def test_a_ca_file_that_is_not_there(tmp_path: Path) -> None:
    env = {"CATALOG_DATA": str(tmp_path), "CATALOG_GALLERY": "https://host", "CATALOG_GALLERY_CA": "nowhere.pem"}
    with pytest.raises(ConfigError, match=r"CATALOG_GALLERY_CA=.*nowhere\.pem"):
        Catalog.open(Settings.from_env(env))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CATALOG_DATABASE", "mysql://host/db"),
        ("CATALOG_DATABASE", "postgres://host/db"),
        ("CATALOG_DATABASE", "sqlite://"),
        ("CATALOG_DATABASE", "sqlite:///"),
        ("CATALOG_DATABASE", "sqlite:///:memory:"),
        ("CATALOG_DATABASE", "catalog.db"),
        ("CATALOG_GALLERY", "host:6333"),
        ("CATALOG_GALLERY", "edge:"),
        ("CATALOG_PHOTOS", "/photos"),
        ("CATALOG_PHOTOS", "s3://"),
        ("CATALOG_SECOND_LOOK_MS", "0"),
        ("CATALOG_SECOND_LOOK_MS", "1e3"),
        ("CATALOG_WRONG_MATCHES", "0"),
        ("CATALOG_WRONG_MATCHES", "0.51"),
        ("CATALOG_WRONG_MATCHES", "-0.01"),
        ("CATALOG_WRONG_MATCHES", "1e-2"),
        ("CATALOG_WRONG_MATCHES", "1 %"),
        ("CATALOG_WRONG_MATCHES", "."),
        ("CATALOG_GALLERY_TIMEOUT", "0"),
        ("CATALOG_GALLERY_TIMEOUT", "0.5"),
        ("CATALOG_GALLERY_TIMEOUT", "301"),
        ("CATALOG_GALLERY_TRIES", "-1"),
        ("CATALOG_GALLERY_TRIES", "11"),
        ("CATALOG_GALLERY_GRPC", "yes"),
        ("CATALOG_GALLERY_GRPC", "65536"),
        ("CATALOG_GALLERY_SHARDS", "two"),
        ("CATALOG_GALLERY_REPLICAS", "٣"),
        ("CATALOG_GALLERY_ON_DISK", "maybe"),
        ("CATALOG_GALLERY_QUANTIZED", "On"),
        ("CATALOG_KEY_RATE", "600"),
        ("CATALOG_KEY_RATE", "1/week"),
        ("CATALOG_LIMITS", "amqp://host//"),
        ("CATALOG_LIMITS", "redis"),
        ("CATALOG_NIGHTLY", "24:00"),
        ("CATALOG_NIGHTLY", "3"),
        ("CATALOG_NIGHTLY", "03:60"),
        ("CATALOG_NIGHTLY", "never"),
        ("CATALOG_METRICS", "all"),
        ("CATALOG_METRICS", "127.0.0.1/33"),
        ("CATALOG_LOG", "xml"),
        ("CATALOG_LOG", "JSON"),
    ],
)
def test_a_value_that_is_not_understood_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        Settings.from_env({name: value})
    assert value in str(caught.value)


@pytest.mark.parametrize(
    ("env", "where"),
    [
        ({}, "memory"),
        ({"CATALOG_JOBS": "redis://host/1"}, "redis://host/1"),
        ({"CATALOG_JOBS": "rediss://host/1"}, "rediss://host/1"),
        ({"CATALOG_JOBS": "amqp://host//"}, "memory"),
        ({"CATALOG_JOBS": "amqp://host//", "CATALOG_LIMITS": "redis://host/2"}, "redis://host/2"),
        ({"CATALOG_JOBS": "redis://host/1", "CATALOG_LIMITS": "memory"}, "memory"),
    ],
)
def test_where_requests_of_keys_are_counted(env: dict[str, str], where: str) -> None:
    assert Settings.from_env(env).limits == where


def test_how_often_keys_may_ask() -> None:
    assert Settings.from_env({"CATALOG_KEY_RATE": "600/minute"}).key_rate == Rate(600, 60)
    assert Settings.from_env({"CATALOG_KEY_RATE": "off"}).key_rate is Settings.from_env({}).key_rate is None


@pytest.mark.parametrize(
    ("value", "at"), [("", time(3)), ("off", None), ("3:05", time(3, 5)), ("00:00", time(0)), ("23:59", time(23, 59))]
)
def test_when_the_nightly_runs_are_due(value: str, at: time | None) -> None:
    assert Settings.from_env({"CATALOG_NIGHTLY": value}).nightly == at


@pytest.mark.parametrize(("value", "share"), [("", 0.01), ("0.5", 0.5), (".02", 0.02), ("0.000001", 0.000001)])
def test_the_share_of_wrong_matches(value: str, share: float) -> None:
    assert Settings.from_env({"CATALOG_WRONG_MATCHES": value}).wrong_matches == share


def test_who_may_read_metrics() -> None:
    def readers(value: str) -> list[str]:
        return [str(network) for network in Settings.from_env({"CATALOG_METRICS": value}).metrics]

    assert readers("") == ["127.0.0.0/8", "::1/128"]
    assert readers("10.0.0.7/8, 192.0.2.1") == ["10.0.0.0/8", "192.0.2.1/32"]
    assert readers("off") == []


def test_a_password_with_a_slash_is_not_repeated() -> None:
    for name in ("CATALOG_DATABASE", "CATALOG_JOBS", "CATALOG_LIMITS"):
        with pytest.raises(ConfigError) as caught:
            Settings.from_env({name: "postgres://catalog:pa/ss@host/db"})
        assert "pa/ss" not in str(caught.value) and "ss@" not in str(caught.value)


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({"CATALOG_DATABASE": "mysql://me:hidden-word@host/db"})
    assert "hidden-word" not in str(caught.value)


def test_a_data_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="CATALOG_DATA"):
        Catalog.open(Settings.from_env({"CATALOG_DATA": str(tmp_path / "file" / "data")}))


@pytest.mark.parametrize("model", ["nowhere", "."])
def test_a_model_that_is_none(tmp_path: Path, model: str) -> None:
    env = {"CATALOG_DATA": str(tmp_path / "data"), "CATALOG_MODEL": str(tmp_path / model)}
    catalog = Catalog.open(Settings.from_env(env))
    with pytest.raises(ConfigError, match="CATALOG_MODEL"):
        catalog.generations.ready()
    catalog.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.2", "127.example.com", "shop.example"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def settings(data: Path, key: str = "") -> Settings:
    return Settings.from_env({"CATALOG_DATA": str(data), "CATALOG_SECRET_KEY": key})


def test_a_given_key_is_used(tmp_path: Path) -> None:
    assert secret_key(settings(tmp_path, LONG), "0.0.0.0") == LONG
    assert list(tmp_path.iterdir()) == []


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too short"):
        secret_key(settings(tmp_path, "short"), "127.0.0.1")


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.168.1.2"])
def test_an_open_network_needs_a_key_of_its_own(tmp_path: Path, host: str) -> None:
    secret_key(settings(tmp_path), "localhost")
    with pytest.raises(ConfigError, match="CATALOG_SECRET_KEY must be set"):
        secret_key(settings(tmp_path), host)


def test_a_local_key_is_made_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: secret_key(settings(data), "127.0.0.1"), range(16)))
    assert len(keys) == 1
    assert len(keys.pop()) == 64
    assert [path.name for path in data.iterdir()] == ["secret-key"]
    assert stat.S_IMODE((data / "secret-key").stat().st_mode) == 0o600


def test_an_empty_key_file_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("\n")
    with pytest.raises(ConfigError, match="holds no key"):
        secret_key(settings(tmp_path), "127.0.0.1")


def test_a_key_that_can_not_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be kept"):
        secret_key(settings(tmp_path / "file"), "127.0.0.1")


@pytest.mark.parametrize("folder", ["a\nb", "a\x00b", "a\udcffb", "\x1b[2J"])
def test_a_data_folder_that_no_message_could_show(folder: str) -> None:
    with pytest.raises(ConfigError, match="CATALOG_DATA="):
        Settings.from_env({"CATALOG_DATA": folder})


@pytest.mark.parametrize("name", ["CATALOG_DATABASE", "CATALOG_GALLERY", "CATALOG_PHOTOS"])
@pytest.mark.parametrize("bad", ["\x00", "\udcff", "\n"])
def test_a_setting_that_no_message_could_show(name: str, bad: str) -> None:
    start = {"CATALOG_DATABASE": "sqlite:///", "CATALOG_GALLERY": "edge:", "CATALOG_PHOTOS": "file:"}[name]
    with pytest.raises(ConfigError, match=f"{name}="):
        Settings.from_env({name: f"{start}/srv/a{bad}b"})


SECRETS = {
    "CATALOG_SECRET_KEY": "secret_key",
    "CATALOG_GALLERY_API_KEY": "gallery_api_key",
    "CATALOG_DATABASE": "database",
    "CATALOG_JOBS": "jobs",
    "CATALOG_LIMITS": "limits",
}
VALUES = {
    "CATALOG_SECRET_KEY": LONG,
    "CATALOG_GALLERY_API_KEY": "a key",
    "CATALOG_DATABASE": "postgresql+psycopg://me:word@host/db",
    "CATALOG_JOBS": "amqp://me:word@host//",
    "CATALOG_LIMITS": "redis://:word@host/1",
}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_each_secret_may_be_in_a_file(name: str, end: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(VALUES[name] + end, newline="")
    env = {"CATALOG_DATA": str(tmp_path)}
    settings = Settings.from_env({**env, f"{name}_FILE": str(file)})
    assert getattr(settings, SECRETS[name]) == VALUES[name]
    assert settings == Settings.from_env({**env, name: VALUES[name]})
    assert settings == Settings.from_env({**env, f"{name}_FILE": str(file), name: ""}), "an empty variable is unset"
    assert "word" not in repr(settings) and LONG not in repr(settings)


def test_every_setting_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "nightly").write_text("04:30\n")
    env = {"CATALOG_DATA": str(tmp_path), "CATALOG_NIGHTLY_FILE": str(tmp_path / "nightly")}
    assert Settings.from_env(env).nightly == time(4, 30)
    env = {"CATALOG_JOBS_FILE": str(tmp_path / "jobs")}
    (tmp_path / "jobs").write_text("redis://host/0")
    assert Settings.from_env(env).limits == "redis://host/0", "what follows from it does so, too"
    assert Settings.from_env({"CATALOG_SECRET_KEY_FILE": ""}) == Settings.from_env({}), "an empty name is none"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read: No such file or directory"),
        (b"", "is empty: it is to hold the value of CATALOG_SECRET_KEY alone"),
        (b"\n", "is empty"),
        (b"first line of a key\nsecond line of a key\n", "holds more than one line"),
        (b"a key of enough characters\0", "holds more than one line"),
        (b"\xff\xfe a key of enough characters", "can't be read: it is no text"),
    ],
)
def test_a_file_that_holds_no_secret(content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({"CATALOG_SECRET_KEY_FILE": str(file)})
    assert message in str(caught.value) and f"CATALOG_SECRET_KEY_FILE={str(file)!r}" in str(caught.value)
    assert "key of" not in str(caught.value), "no message shows what is in it"


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"CATALOG_JOBS_FILE=.* can't be read: Is a directory"):
        Settings.from_env({"CATALOG_JOBS_FILE": str(tmp_path)})


def test_a_secret_that_is_given_twice(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(LONG)
    env = {"CATALOG_SECRET_KEY_FILE": str(tmp_path / "secret"), "CATALOG_SECRET_KEY": LONG}
    with pytest.raises(ConfigError, match="CATALOG_SECRET_KEY and CATALOG_SECRET_KEY_FILE are both given") as caught:
        Settings.from_env(env)
    assert LONG not in str(caught.value)


def test_the_password_of_the_database_apart_from_its_url(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss:w/rd %?#\n")
    env = {
        "CATALOG_DATABASE": "postgresql+psycopg://me@host:5432/db?sslmode=require",
        "CATALOG_DATABASE_PASSWORD_FILE": str(tmp_path / "password"),
    }
    url = make_url(Settings.from_env(env).database)
    assert (url.username, url.password, url.host, url.port) == ("me", "p@ss:w/rd %?#", "host", 5432)
    assert (url.database, url.query) == ("db", {"sslmode": "require"})


@pytest.mark.parametrize("url", ["", "sqlite:////catalog.db", "postgresql://host/db", "postgresql://me:word@host/db"])
def test_a_password_without_its_place(url: str) -> None:
    with pytest.raises(ConfigError, match="CATALOG_DATABASE_PASSWORD belongs to") as caught:
        Settings.from_env({"CATALOG_DATABASE": url, "CATALOG_DATABASE_PASSWORD": "pass"})
    assert "word@" not in str(caught.value)
