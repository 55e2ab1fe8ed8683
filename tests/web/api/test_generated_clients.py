"""Clients that generators make of the description: they are made without a gap, and used against the real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import pictures
from tests.support.served import Served
from tests.torture.described import stocked
from web.api import describe, reference

pytestmark = pytest.mark.slow

#: What the generated Python client is asked to do; it has no tests of its own, so it is run in a process of its own.
PROGRAM = """
import io, sys
from generated.api.answers import add_feedback
from generated.api.products import create_product
from generated.api.recognizing import recognize
from generated.client import AuthenticatedClient
from generated.models import Added, CreateForm, FeedbackBody, FeedbackForm, Problem, Recognition, RecognizeForm
from generated.types import File

url, key, path = sys.argv[1:]
photo = lambda: File(payload=open(path, "rb"), file_name="front.jpg", mime_type="image/jpeg")
with AuthenticatedClient(base_url=url, token=key) as client:
    form = CreateForm(sku="GENERATED-1", photos=[photo()], name="Green tea", barcode=["4006381333931"], strict=False)
    added = create_product.sync(client=client, body=form)
    assert isinstance(added, Added) and added.searchable and added.barcodes == ["04006381333931"], added
    for body in (RecognizeForm(photo=photo(), sku=["GENERATED-1"], k=3), photo()):
        answer = recognize.sync(client=client, body=body)
        assert isinstance(answer, Recognition) and answer.matches[0].sku == "GENERATED-1", answer
    assert add_feedback.sync_detailed(str(answer.id), client=client, body=FeedbackForm(correct=True)).status_code == 204
    again = recognize.sync(client=client, body=photo(), sku=["GENERATED-1"])
    said = add_feedback.sync_detailed(str(again.id), client=client, body=FeedbackBody(correct=False, note="no"))
    assert said.status_code == 204, said
    refused = create_product.sync(client=client, body=CreateForm(sku="..", photos=[photo()]))
    assert isinstance(refused, Problem) and refused.errors[0].field == "sku", refused
print("done")
"""
#: As the docs say: it knows no media types of images.
CONFIG = """
post_hooks: []
content_type_overrides:
  image/*: application/octet-stream
  image/jpeg: application/octet-stream
  application/zip: application/octet-stream
  text/csv: application/octet-stream
"""
#: The same for TypeScript: only its types are checked.
TYPES = """
import type { components, paths } from "./api";
type Answer = components["schemas"]["Recognition"];
type Refused = paths["/api/v1/recognize"]["post"]["responses"][422]["content"]["application/problem+json"];
export function sku(answer: Answer): string | null {
  const decisions: Answer["decision"][] = ["match", "ambiguous", "unknown"];
  const best = answer.matches[0];
  return decisions.includes(answer.decision) && best ? best.sku : null;
}
export const first = (problem: Refused): string => problem.errors?.[0]?.field ?? problem.code;
// @ts-expect-error: there is no such decision
export const wrong: Answer["decision"] = "perhaps";
"""


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("description") / "openapi.json"
    path.write_text(json.dumps(describe.description(reference.api_alone())))
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    with stocked(tmp_path_factory.mktemp("generated")) as running:
        yield running


def test_python(description: Path, site: tuple[Served, str], tmp_path: Path) -> None:
    pytest.importorskip("openapi_python_client", reason="openapi-python-client (extra `dev`) is not installed")
    (server, key), folder = site, tmp_path / "generated"
    (tmp_path / "config.yml").write_text(CONFIG)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--path", str(description)]
    options = ["--config", str(tmp_path / "config.yml"), "--output-path", str(folder)]
    made = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
    said = made.stdout + made.stderr
    assert made.returncode == 0, said
    assert "WARNING" not in said, said
    photo = tmp_path / "front.jpg"
    photo.write_bytes(pictures.jpeg(31))
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, server.url, key, str(photo)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr


def npx(folder: Path, *arguments: str) -> Any:
    """A program of npm's cache or registry, pinned. Skips the test where there is neither."""
    if not shutil.which("npx"):
        pytest.skip("no Node.js on this machine")
    return subprocess.run(["npx", "--yes", *arguments], cwd=folder, capture_output=True, text=True, timeout=300)


def test_typescript(description: Path, tmp_path: Path) -> None:
    made = npx(tmp_path, "openapi-typescript@7.13.0", str(description), "--output", "api.d.ts")
    if "ENOTFOUND" in made.stderr or "ECONNREFUSED" in made.stderr or "E404" in made.stderr:
        pytest.skip("openapi-typescript is neither in npm's cache nor can the registry be reached")
    assert made.returncode == 0, made.stdout + made.stderr
    (tmp_path / "program.ts").write_text(TYPES)
    checked = npx(
        tmp_path, "--package=typescript@5.9.3", "tsc", "--noEmit", "--strict", "--target", "es2022", "program.ts"
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
