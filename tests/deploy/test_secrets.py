"""deploy/make-secrets.sh: what both ways of deploying take their secrets from."""

from __future__ import annotations

import configparser
import json
import stat
from pathlib import Path

import yaml

from tests.support.deployed import composed, make_secrets, pods


def test_it_makes_what_is_asked_for_and_nothing_else(tmp_path: Path) -> None:
    made = {path.name for path in make_secrets(tmp_path / "secrets").iterdir()}
    secrets = composed()["secrets"]
    assert {secret["file"] for secret in secrets.values()} == {f"secrets/{name}" for name in made}
    assert all(secret["file"] == f"secrets/{name}" for name, secret in secrets.items())
    volumes = [volume["secret"] for pod in pods().values() for volume in pod["spec"]["volumes"] if "secret" in volume]
    assert volumes and all(volume["secretName"] == "catalog" for volume in volumes)
    assert {item["key"] for volume in volumes for item in volume.get("items", [])} <= made


def test_nobody_else_comes_into_the_folder_and_containers_read_the_files(tmp_path: Path) -> None:
    folder = make_secrets(tmp_path / "secrets")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}


def test_one_secret_is_the_same_for_all_who_know_it(tmp_path: Path) -> None:
    folder = make_secrets(tmp_path / "secrets")
    alone = {name: (folder / name).read_text() for name in ("secret-key", "postgres-password", "gallery-api-key")}
    assert len({*alone.values()}) == 3 and all(len(value) == 64 for value in alone.values())
    assert yaml.safe_load((folder / "qdrant.yaml").read_text()) == {"service": {"api_key": alone["gallery-api-key"]}}
    credentials = configparser.ConfigParser()
    credentials.read(folder / "s3-credentials")
    (identity,) = json.loads((folder / "s3.json").read_text())["identities"]
    assert identity["credentials"] == [
        {
            "accessKey": credentials["default"]["aws_access_key_id"],
            "secretKey": credentials["default"]["aws_secret_access_key"],
        }
    ]
    assert len(credentials["default"]["aws_secret_access_key"]) == 64


def test_again_it_changes_nothing_that_is_there(tmp_path: Path) -> None:
    folder = make_secrets(tmp_path / "secrets")
    (folder / "postgres-password").write_text("that of before")
    before = {path.name: path.read_text() for path in folder.iterdir()}
    make_secrets(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert "that of before" in before.values()
