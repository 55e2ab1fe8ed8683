"""The board and the alert rules below deploy/ name what a real server exports, with the labels that it has."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from catalog import products
from catalog.config import Settings
from catalog.webhooks import add_webhook
from tests.support.catalogs import open_catalog
from tests.support.exposed import samples
from tests.support.offline import KEY, add, built, public_key
from tests.support.pictures import jpeg
from tests.support.served import environment, run, served

DEPLOY = Path(__file__).parents[3] / "deploy"
#: What Prometheus has of its own, and gives each series.
OWN_NAMES, OWN_LABELS = {"up"}, {"instance", "job"}
#: What else these expressions say: of the query language, and a variable of Grafana's.
WORDS = {
    *("sum", "max", "min", "rate", "increase", "time", "topk", "histogram_quantile", "or", "unless"),
    "__rate_interval",
}


@dataclass(frozen=True)
class Selector:
    """A metric's name in an expression, and the labels that it is selected by."""

    name: str
    labels: frozenset[str]


def board() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana-board.json").read_text())
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text())["groups"]
    assert len({group["name"] for group in groups}) == len(groups)
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    panels = [target["expr"] for panel in board()["panels"] for target in panel["targets"]]
    return [*panels, *(rule["expr"] for rule in rules())]


def selectors(expression: str) -> set[Selector]:
    """The metrics of an expression; labels that it groups by are asked of each of them."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    groups = {label for group in re.findall(r"\bby \(([^)]*)\)", bare) for label in group.split(", ")}
    bare = re.sub(r"\b(by|without|on) \([^)]*\)", "", bare)
    found = re.findall(r"\b([a-z_][a-z0-9_]*)(\{[^}]*\})?", bare)
    wanted = groups - OWN_LABELS - {"le"}
    return {
        Selector(name, frozenset(re.findall(r"([a-z_]+)=", labels)) | wanted)
        for name, labels in found
        if name not in WORDS
    }


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """Name -> labels of all series of a server, and of a till, after a doctor's run and some answers."""
    folder = tmp_path_factory.mktemp("metrics")
    env = environment(CATALOG_DATA=str(folder / "data"), CATALOG_NIGHTLY="off")
    catalog = open_catalog(Settings.from_env(env))
    for seed in range(3):
        add(catalog, f"S{seed}", jpeg(seed))
    products.set_active(catalog, "S2", False, actor="anna")
    add_webhook(catalog.database, "ERP", "https://example.org", ["products"], actor="anna")
    (folder / "whole.zip").write_bytes(built(catalog).path.read_bytes())
    trust = public_key(catalog)
    catalog.close()
    assert run(["doctor", "--quiet"], env).returncode == 0
    key = run(["key", "create", "till"], env).stdout.strip()
    found: dict[str, set[str]] = {}

    def read(url: str, secret: str) -> None:
        with httpx.Client(base_url=url, timeout=60, headers={"Authorization": f"Bearer {secret}"}) as client:
            for seed in (0, 1, 50):
                assert client.post("/api/v1/recognize", content=jpeg(seed)).status_code == 200
            assert client.post("/api/v1/recognize", content=b"no photo").status_code == 415
            deadline = time.monotonic() + 30
            while "catalog_products" not in (text := client.get("/metrics").text):
                assert time.monotonic() < deadline
        for sample in samples(text):
            found.setdefault(sample.name, set()).update(sample.labels)

    with served(folder / "log", env) as server:
        read(server.url, key)
    (folder / "key").write_text(KEY)
    options = {"--data": folder / "till", "--key-file": folder / "key", "--bundle": folder / "whole.zip"}
    command = [text for pair in options.items() for text in map(str, pair)]
    with served(folder / "till.log", environment(), ["till", *command, "--trust", trust, "--port", "0"]) as till:
        read(till.url, KEY)
    yield found


def test_what_expressions_name_is_understood() -> None:
    asked = 'sum by (le, step) (rate(a_bucket{b=~"x", c="d{e}"}[5m])) / max without (instance) (f) > 36 * 3600'
    found = selectors(asked)
    assert found == {Selector("a_bucket", frozenset({"b", "c", "step"})), Selector("f", frozenset({"step"}))}


@pytest.mark.slow
def test_a_server_exports_all_that_they_name(exported: dict[str, set[str]]) -> None:
    for expression in expressions():
        named = selectors(expression)
        assert named, expression
        for selector in named:
            if selector.name in OWN_NAMES:
                continue
            assert selector.name in exported, (selector.name, expression)
            assert selector.labels <= exported[selector.name] | OWN_LABELS, expression


@pytest.mark.slow
def test_the_docs_name_all_that_a_server_exports(exported: dict[str, set[str]]) -> None:
    docs = (DEPLOY.parent / "docs" / "operating.md").read_text()
    bases = {re.sub("_(bucket|count|sum)$", "", name) for name in exported if name.startswith("catalog_")}
    assert {name for name in bases if f"`{name}" not in docs} == set()


def test_rules_are_whole() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) > 10
    for rule in rules():
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch("[A-Z][A-Za-z]+", rule["alert"])
        assert re.fullmatch("[0-9]+[smh]", rule.get("for", "1m"))
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"].keys() == {"summary", "description"}
        assert set(re.findall(r"\{\{ (.*?) \}\}", rule["annotations"]["summary"])) <= {
            "$labels.instance",
            "$labels.kind",
            "$value",
        }


def test_the_board_is_whole() -> None:
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [tuple(panel["gridPos"][side] for side in "xywh") for panel in panels]
    for x, _, w, _ in places:
        assert x >= 0 and x + w <= 24
    for place, (x, y, w, h) in enumerate(places):
        for ox, oy, ow, oh in places[place + 1 :]:
            assert x + w <= ox or ox + ow <= x or y + h <= oy or oy + oh <= y, "no two panels overlap"
    variables = {variable["name"] for variable in board()["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]+)", json.dumps(panels))) - {"__rate_interval"} <= variables


@pytest.mark.parametrize("expression", expressions())
def test_brackets_are_closed(expression: str) -> None:
    bare, pairs = re.sub(r'"[^"]*"', "", expression), {")": "(", "]": "[", "}": "{"}
    opened: list[str] = []
    for character in bare:
        if character in pairs.values():
            opened.append(character)
        elif character in pairs:
            assert opened and opened.pop() == pairs[character]
    assert not opened and bare.count('"') == 0
