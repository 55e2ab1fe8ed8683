"""deploy/kubernetes/, read: no cluster is needed for that."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.support.deployed import KUBERNETES, OURS, checked, composed, manifests, of_kind, ours, pods, services
from tests.support.settings import SETTINGS
from web.app import create_app

#: The release whose schemas the manifests are checked by.
RELEASE = "1.37"


def named(document: Any) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


@pytest.mark.parametrize("document", manifests(), ids=named)
def test_it_is_valid(document: Any) -> None:
    """By the strict schemas of Kubernetes: no field that there is not."""
    validating = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate (extra `dev`) is not installed")
    validating.validate(document, RELEASE, strict=True)
    with pytest.raises(validating.ValidationError):
        validating.validate({**document, "specification": {}}, RELEASE, strict=True)


def test_kustomize_takes_all_files() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in KUBERNETES.iterdir()} - {"kustomization.yaml"} == set(listed)
    program = shutil.which("kubectl")
    if program is None or subprocess.run([program, "kustomize", "--help"], capture_output=True).returncode:
        pytest.skip("no kubectl on this machine")
    built = subprocess.run([program, "kustomize", str(KUBERNETES)], capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    made = list(yaml.safe_load_all(built.stdout))
    assert sorted(map(named, made)) == sorted(map(named, manifests()))
    assert {one["metadata"].get("namespace") for one in made} == {"catalog", None}
    for one in made:
        for volume in one.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", []):
            assert volume.get("secret", {}).get("defaultMode", 0o440) == 0o440


@pytest.mark.parametrize("name", pods())
def test_no_pod_is_root_or_may_become_it(name: str) -> None:
    spec = pods()[name]["spec"]
    user = spec["securityContext"]
    assert user["runAsNonRoot"] is True and user["runAsUser"] > 0
    assert user["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False, "no variable of a Service is taken for a setting"
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", pods())
def test_what_is_named_is_there(name: str) -> None:
    spec = pods()[name]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    templates = of_kind("StatefulSet").get(name, {}).get("spec", {}).get("volumeClaimTemplates", [])
    volumes |= {one["metadata"]["name"]: one for one in templates}
    for container in spec["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        for source in container.get("envFrom", []):
            assert source["configMapRef"]["name"] in of_kind("ConfigMap")
    for volume in volumes.values():
        if "persistentVolumeClaim" in volume:
            assert volume["persistentVolumeClaim"]["claimName"] in of_kind("PersistentVolumeClaim")


def test_selectors_find_their_pods() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods().items()}
    assert {label["app"] for label in labels.values()} == set(pods()), "each has a name of its own"
    for name, made in of_kind("Deployment", "StatefulSet").items():
        assert made["spec"]["selector"]["matchLabels"].items() <= labels[name].items()
    for name, service in of_kind("Service").items():
        assert service["spec"]["selector"].items() <= labels[name].items()
        (container,) = pods()[name]["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for budget in of_kind("PodDisruptionBudget").values():
        assert budget["spec"]["selector"]["matchLabels"]["app"] == "web"
        assert budget["spec"]["minAvailable"] < of_kind("Deployment")["web"]["spec"]["replicas"], (
            "a node can be emptied"
        )
    for policy in of_kind("NetworkPolicy").values():
        for selector in (
            policy["spec"]["podSelector"],
            *(f["podSelector"] for i in policy["spec"].get("ingress", []) for f in i.get("from", [])),
        ):
            for expression in selector.get("matchExpressions", []):
                assert expression["key"] == "app" and set(expression["values"]) <= set(pods())


def test_the_stores_are_reached_by_the_catalog_alone() -> None:
    policies = of_kind("NetworkPolicy")
    (closed,) = [policy for policy in policies.values() if policy["spec"]["podSelector"] == {}]
    assert "ingress" not in closed["spec"] and closed["spec"]["policyTypes"] == ["Ingress"]
    stores = policies["stores"]["spec"]
    (source,) = stores["ingress"][0]["from"]
    assert set(stores["podSelector"]["matchExpressions"][0]["values"]) == set(pods()) - set(ours())
    assert set(source["podSelector"]["matchExpressions"][0]["values"]) == set(ours())


def test_it_is_what_compose_runs() -> None:
    """The same commands, checks and settings, so that what is tested of one holds for the other."""
    assert set(pods()) == set(services()) - {"s3"}
    for name, pod in pods().items():
        (container,) = pod["spec"]["containers"]
        service = services()[name]
        assert container["image"] == service["image"]
        command = service.get("command")
        assert container.get("args") in (command, [*(command or []), "--threads", "2"])
        probe = container.get("livenessProbe", {})
        if "exec" in probe:
            written = probe["exec"]["command"]
            assert written == checked(service["healthcheck"]["test"])
    settings = of_kind("ConfigMap")["settings"]["data"]
    composed_settings = {name for service in ours().values() for name in service["environment"]}
    assert {name for name in settings if name in SETTINGS} - {"CATALOG_DATA"} <= composed_settings
    assert composed()["services"]["web"]["environment"]["CATALOG_SECRET_KEY_FILE"]


def test_the_secrets_are_where_the_settings_look() -> None:
    settings = of_kind("ConfigMap")["settings"]["data"]
    made = {secret["file"].removeprefix("secrets/") for secret in composed()["secrets"].values()}
    for name in ours():
        (container,) = pods()[name]["spec"]["containers"]
        (folder,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "secrets"]
        for variable, value in settings.items():
            if variable.endswith("_FILE"):
                assert value.startswith(f"{folder}/") and value.removeprefix(f"{folder}/") in made, variable


def test_probes_ask_for_addresses_that_there_are(catalog: Any) -> None:
    addresses = {str(rule) for rule in create_app(catalog, "a key of enough characters").url_map.iter_rules()}
    (web,) = pods()["web"]["spec"]["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert web[probe]["httpGet"]["path"] in addresses
        assert web[probe]["httpGet"]["port"] in {port["name"] for port in web["ports"]}
    assert {f"{OURS}:"} == {container["image"][: len(OURS) + 1] for container in [web]}


def test_a_pod_has_the_time_to_end() -> None:
    """Before SIGTERM it waits until no request comes any more; then the server ends within 10 seconds."""
    spec = pods()["web"]["spec"]
    waits = int(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert spec["terminationGracePeriodSeconds"] > waits + 10
    assert f"{pods()['worker']['spec']['terminationGracePeriodSeconds']}s" == services()["worker"]["stop_grace_period"]
