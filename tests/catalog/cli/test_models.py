"""`catalog model`, and `catalog reembed` by a model that was added."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.catalog import Catalog
from embedder.bundle import RELEASED, Bundle, load_bundle
from tests.support.commands import Run, one_line
from tests.support.models import blind, made, with_self_test

FIRST = load_bundle(RELEASED)


def columns(line: str) -> list[str]:
    return line.split("\t")


@pytest.mark.slow
def test_a_model_from_its_bundle_to_its_end(run: Run, tmp_path: Path) -> None:
    run("add", "tea", "1.jpg", "2.jpg")
    bundle = with_self_test(tmp_path / "made", name="nightly", version="7")
    said = run("model", "add", str(bundle.path)).stdout.splitlines()
    assert said[0] == f"{bundle.id}: nightly 7, vectors of 256: added"
    assert said[1].startswith("Its self-test: a cosine of 1.0000") and "at least 0.995" in said[1]
    assert said[2].startswith(f"`catalog reembed --bundle {bundle.id}`")
    assert "was added before" in run("model", "add", str(bundle.path)).stdout
    added, live = map(columns, run("model", "list").stdout.splitlines())
    assert (added[:2], added[4], added[6]) == ([bundle.id, "added"], "0 of 2 photos", "nightly 7")
    assert (live[:2], live[4]) == ([FIRST.id, "live"], "2 of 2 photos")
    assert float(live[5].removesuffix(" MB")) > 5

    moved = run("reembed", "--bundle", bundle.id)
    assert moved.stdout == f"{FIRST.id} -> {bundle.id}: 2 photos embedded, 2 searchable\n"
    assert "2/2" in moved.stderr, "the bar"
    assert "match (tea" in run("recognize", "1.jpg").stdout
    assert "is live: switch to another one first" in one_line(run("model", "remove", bundle.id, status=1))
    assert [columns(line)[1] for line in run("model", "list").stdout.splitlines()] == ["live", "kept, the one before"]
    assert run("model", "remove", FIRST.id).stdout == f"{FIRST.id} removed\n"
    assert run("model", "remove", FIRST.id).stdout == f"{FIRST.id} was removed before\n"
    assert "no model '000000000000'" in one_line(run("model", "remove", "0" * 12, status=1))
    assert len(run("model", "list").stdout.splitlines()) == 1
    assert "no generation" in one_line(run("reembed", "--rollback", "--quiet", status=1))


def test_models_for_programs(run: Run, other_bundle: Bundle) -> None:
    run("add", "tea", "1.jpg", "2.jpg")
    assert "carries no self-test" in run("model", "add", str(other_bundle.path)).stdout
    added, live = (json.loads(line) for line in run("model", "list", "--json").stdout.splitlines())
    assert (added["id"], added["state"], added["embedded"], added["photos"]) == (other_bundle.id, "added", 0, 2)
    assert (live["id"], live["state"], live["embedded"], live["dim"]) == (FIRST.id, "live", 2, 256)
    assert live["bundle_bytes"] > 5_000_000 and live["gallery_bytes"] > 0
    shown = json.loads(run("model", "show", FIRST.id, "--json").stdout)
    assert shown.items() >= {key: live[key] for key in ("id", "state", "created_at", "rates")}.items()
    assert (shown["embedded"], shown["pending"], shown["failed"], shown["removals"]) == (2, 0, 0, 0)
    assert shown["bundle"]["training"] == FIRST.training
    assert (shown["bundle"]["self_test"], shown["bundle"]["thresholds"]["score"]) == (None, FIRST.thresholds.score)


def test_a_model_for_people(run: Run, tmp_path: Path) -> None:
    run("add", "tea", "1.jpg", "2.jpg")
    text = run("model", "show", FIRST.id).stdout
    assert "efficientnetlite0" in text and ": live, here since " in text
    assert "photos: 2 embedded, 0 pending (0 failed), 0 to be taken out" in text
    assert "photos of 192 px (whole and centre) -> vectors of 256" in text
    assert f"a match needs score {FIRST.thresholds.score:.3f}" in text
    assert "self-test: none" in text and "matched and right" in text
    bundle = with_self_test(tmp_path / "made", training={"figures": {"val_top1": 0.9}})
    run("model", "add", str(bundle.path))
    text = run("model", "show", bundle.id).stdout
    assert "self-test: a cosine of at least 0.995" in text and "val_top1: 0.9" in text
    assert "no model 'x'" in one_line(run("model", "show", "x", status=1))


def test_a_bad_model_is_one_line(run: Run, tmp_path: Path) -> None:
    run("add", "tea", "1.jpg")
    (tmp_path / "empty").mkdir()
    assert "no model bundle" in one_line(run("model", "add", "empty", status=1))
    assert "to one point" in one_line(run("model", "add", str(made(tmp_path / "blind", blind()).path), status=1))
    assert "does not exist" in run("model", "add", "absent", status=2).stderr
    assert len(run("model", "list").stdout.splitlines()) == 1


def test_reembed_by_what_is_no_model(run: Run) -> None:
    run("add", "tea", "1.jpg")
    assert "no such folder, and it is no id" in run("reembed", "--bundle", "absent", status=2).stderr
    assert "no such model" in one_line(run("reembed", "--quiet", "--bundle", "0" * 12, status=1))


def test_models_are_listed_and_added_beside_a_process_that_has_the_gallery(
    run: Run, open_catalog: Callable[[], Catalog], other_bundle: Bundle
) -> None:
    run("add", "tea", "1.jpg")
    holder = open_catalog()
    holder.generations.ready()
    holder.gallery.count(holder.generations.ready().collection)
    run("model", "add", str(other_bundle.path))
    assert len(run("model", "list").stdout.splitlines()) == 2
    run("model", "remove", other_bundle.id)
    assert FIRST.id in run("model", "show", FIRST.id).stdout
