"""docker-compose.yml and docker-compose.small.yml, read: no engine is needed for that."""

from __future__ import annotations

import importlib.resources
import json
import re
import subprocess
import tomllib
from typing import Any

import pytest

from tests.support.deployed import COMPOSE, OURS, ROOT, composed, interpolated, manifests, ours, pods, services
from tests.support.settings import SETTINGS

EVERY = [(file, name) for file in COMPOSE for name in services(file)]


def images() -> dict[str, str]:
    """Image -> who has it."""
    found = {service["image"]: f"{file} {name}" for file in COMPOSE for name, service in services(file).items()}
    for name, pod in pods().items():
        found |= {container["image"]: f"kubernetes {name}" for container in pod["spec"]["containers"]}
    return found


@pytest.mark.parametrize("file", COMPOSE)
def test_it_is_valid(file: str) -> None:
    """By the schema of the Compose specification."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema (extra `dev`) is not installed")
    pytest.importorskip("check_jsonschema", reason="check-jsonschema, which has the schema, is not installed")
    schemas = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / "compose-spec.json").read_text())
    jsonschema.validators.validator_for(schema)(schema).validate(composed(file))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"web": {"comand": []}}}, schema)


@pytest.mark.parametrize("file", COMPOSE)
def test_what_is_named_is_there(file: str) -> None:
    whole = composed(file)
    used: dict[str, set[str]] = {"volumes": set(), "secrets": set(), "networks": set()}
    for name, service in services(file).items():
        for other, condition in service.get("depends_on", {}).items():
            assert other in services(file), f"{name} waits for {other}"
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services(file)[other]
        used["volumes"] |= {volume.split(":")[0] for volume in service.get("volumes", []) if ":" in volume}
        used["secrets"] |= {one if isinstance(one, str) else one["source"] for one in service.get("secrets", [])}
        used["networks"] |= set(service.get("networks", [])) - {"default"}
    assert {kind: set(whole.get(kind, {})) for kind in used} == used, "all that is declared is used"


def test_the_parts_are_all_there() -> None:
    assert set(services()) == {"web", "worker", "migrate", "postgres", "qdrant", "redis", "s3"}
    assert set(ours()) == {"web", "worker", "migrate"}
    for name in ("web", "worker"):
        assert services()[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert set(services("docker-compose.small.yml")) == {"web"}, "one container, and nothing that it waits for"


@pytest.mark.parametrize(("file", "name"), EVERY)
def test_each_container_may_do_little(file: str, name: str) -> None:
    service = services(file)[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & set(service)
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), "nothing listens beyond the loopback by default"
    assert service["image"].startswith((f"{OURS}:", "qdrant/")) or service["user"].split(":")[0] not in ("0", "root")


@pytest.mark.parametrize(("file", "name"), EVERY)
def test_each_container_is_watched_and_started_again(file: str, name: str) -> None:
    service = services(file)[name]
    if name == "migrate":
        assert service["restart"] == "no" and "healthcheck" not in service
    else:
        assert service["restart"] == "unless-stopped"
        assert {"test", "interval", "timeout"} <= set(service["healthcheck"])


def test_only_web_reaches_beyond_the_parts() -> None:
    assert composed()["networks"]["parts"] == {"internal": True}
    for name, service in services().items():
        assert service["networks"] == (["parts", "default"] if name == "web" else ["parts"])
        assert ("ports" in service) == (name == "web")


@pytest.mark.parametrize("image", images())
def test_images_are_pinned(image: str) -> None:
    """Never a tag that moves to another release of features: at least two numbers."""
    assert re.fullmatch(r"[a-z][a-z0-9/-]*:v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?", image), images()[image]


def test_images_are_the_same_everywhere() -> None:
    names = [image.split(":")[0] for image in images()]
    assert len(names) == len(set(names)), sorted(images())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"{OURS}:{version}" in images(), "the tag is the version"


def environments() -> list[tuple[str, dict[str, str]]]:
    """Who -> variables, of all files."""
    found = [
        (f"{file} {name}", service.get("environment", {}))
        for file in COMPOSE
        for name, service in services(file).items()
    ]
    for document in manifests():
        if document["kind"] == "ConfigMap":
            found.append((document["metadata"]["name"], document["data"]))
    for name, pod in pods().items():
        for container in pod["spec"]["containers"]:
            found.append((name, {one["name"]: one["value"] for one in container.get("env", [])}))
    return found


def test_only_settings_that_there_are() -> None:
    named = {variable for _, variables in environments() for variable in variables if variable.startswith("CATALOG_")}
    assert {variable.removesuffix("_FILE") for variable in named} <= SETTINGS
    assert len(named) > 8


def test_no_secret_stands_anywhere() -> None:
    """Neither in a file of the repository nor in a variable that `docker inspect` shows."""
    for who, variables in environments():
        for variable, value in variables.items():
            if re.search("PASSWORD|SECRET|TOKEN|CREDENTIAL|API_KEY", variable):
                assert variable.endswith("_FILE") and value.startswith("/run/secrets/"), f"{who}: {variable}"
            assert not re.search(r"//[^/]*:[^/]*@", interpolated(value, {})), f"{who}: {variable} has a password"
    assert not [document for document in manifests() if document["kind"] == "Secret"]


def test_they_stop_within_the_time_that_they_have() -> None:
    """The server ends within 10 seconds (web/stopping.py, web/__main__.py); a worker at the next step of its run."""

    def seconds(service: Any) -> int:
        return int(re.fullmatch(r"(\d+)s", service["stop_grace_period"])[1])  # type: ignore[index]

    assert all(10 < seconds(services(file)["web"]) <= 30 for file in COMPOSE)
    assert seconds(services()["worker"]) >= 30


def test_the_bucket_server_is_healthy_once_its_writes_are_synced() -> None:
    """And but for S3 itself it listens on the loopback of its container."""
    service = services()["s3"]
    shell, options = service["entrypoint"]
    (script,) = service["command"]
    assert subprocess.run([shell, "-n", "-c", script], timeout=10).returncode == 0 and options == "-euc"
    configured, touched = script.index("-fsync -apply"), script.index("touch /tmp/configured")
    assert configured < touched and service["healthcheck"]["test"][1].startswith("test -e /tmp/configured && ")
    assert "-ip=127.0.0.1 " in script and "-s3.ip.bind=0.0.0.0 " in script
    assert "-s3.config=/run/secrets/s3.json" in script and service["secrets"] == ["s3.json"]
