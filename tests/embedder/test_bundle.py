"""A bundle is what its hash says, or it is not loaded; writing one never leaves half of two."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedder import bundle
from embedder.bundle import Bundle, SelfTest, Thresholds
from embedder.errors import BundleError

MODEL = b"not a network, but bytes all the same"
TEST = SelfTest({"width": 4, "rectangles": ["0 0 1 1 #ff0000"]}, (0.6, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), 0.99)


def write(path: Path, **changes: Any) -> Bundle:
    facts: dict[str, Any] = {"name": "tiny", "version": "1", "dim": 8, "size": 32}
    return bundle.write_bundle(path, bundle.BundleParts(changes.pop("model", MODEL), **{**facts, **changes}))


def test_round_trip(tmp_path: Path) -> None:
    thresholds = Thresholds(score=0.6, margin=0.03, false_accept=0.05)
    made = write(tmp_path / "deep" / "bundle", thresholds=thresholds, training={"seed": 3, "schedule": [[32, 2]]})
    assert bundle.load_bundle(tmp_path / "deep" / "bundle") == made
    assert (made.name, made.version, made.dim, made.size, made.thresholds) == ("tiny", "1", 8, 32, thresholds)
    assert made.views == ("whole", "centre")
    assert made.training == {"seed": 3, "schedule": [[32, 2]]}
    assert made.id == made.sha256[:12]
    assert made.model_path.read_bytes() == MODEL


def test_self_test_is_kept_in_its_place(tmp_path: Path) -> None:
    made = write(tmp_path / "bundle", self_test=TEST)
    assert bundle.load_bundle(tmp_path / "bundle") == made
    assert made.self_test == TEST
    assert json.loads((made.path / bundle.META_FILE).read_text())["self_test"]["cosine"] == 0.99
    assert write(tmp_path / "older").self_test is None


@pytest.mark.parametrize(
    "changes",
    [
        {"vector": (1.0,)},
        {"vector": (float("nan"),) * 8},
        {"vector": (0.0,) * 8},
        {"vector": None},
        {"cosine": 0},
        {"cosine": 1.5},
        {"cosine": "much"},
        {"picture": None},
    ],
    ids=str,
)
def test_self_test_that_could_not_be_taken_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match="no complete"):
        write(tmp_path / "bundle", self_test=replace(TEST, **changes))


def test_same_content_same_id_wherever_it_lies(tmp_path: Path) -> None:
    assert write(tmp_path / "a").id == write(tmp_path / "b").id


@pytest.mark.parametrize(
    "changes",
    [
        {"thresholds": Thresholds(score=0.76)},
        {"thresholds": Thresholds(margin=0.03)},
        {"model": MODEL + b"."},
        {"size": 64},
        {"views": ("whole",)},
        {"name": "other"},
        {"version": "2"},
        {"training": {"seed": 4}},
        {"self_test": TEST},
        {"self_test": replace(TEST, cosine=0.9)},
    ],
    ids=str,
)
def test_any_change_makes_another_id(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert write(tmp_path / "a").id != write(tmp_path / "b", **changes).id


def edit_meta(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        meta = json.loads((path / bundle.META_FILE).read_text())
        change(meta)
        (path / bundle.META_FILE).write_text(json.dumps(meta))

    return edit


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda path: (path / bundle.MODEL_FILE).write_bytes(MODEL[:-1] + b"?"), "model.tflite is damaged"),
        (lambda path: (path / bundle.MODEL_FILE).unlink(), "no complete model bundle"),
        (lambda path: (path / bundle.META_FILE).unlink(), "no model bundle"),
        (lambda path: (path / bundle.META_FILE).write_text("{"), "no complete model bundle"),
        (lambda path: (path / bundle.META_FILE).write_text("[]"), "no complete model bundle"),
        (lambda path: (path / bundle.META_FILE).write_bytes(b"\xff\xfe"), "no complete model bundle"),
        (edit_meta(lambda meta: meta["thresholds"].update(score=0.1)), "was changed after it was written"),
        (edit_meta(lambda meta: meta.update(dim=9)), "was changed after it was written"),
        (edit_meta(lambda meta: meta.update(format=2)), "this version reads format 1"),
        (edit_meta(lambda meta: meta["preprocessing"].update(fit="crop-1")), "crop-1"),
        (edit_meta(lambda meta: meta.pop("training") or meta.update(sha256=bundle._hash_meta(meta))), "training"),
        (edit_meta(lambda meta: meta.update(files={}) or meta.update(sha256=bundle._hash_meta(meta))), "no hash of"),
        (
            edit_meta(lambda meta: meta.update(self_test=0) or meta.update(sha256=bundle._hash_meta(meta))),
            "no complete",
        ),
        (edit_meta(lambda meta: meta.update(files=[]) or meta.update(sha256=bundle._hash_meta(meta))), "no complete"),
    ],
)
def test_tampered_bundle_is_refused(tmp_path: Path, tamper: Callable[[Path], Any], says: str) -> None:
    write(tmp_path / "bundle")
    tamper(tmp_path / "bundle")
    with pytest.raises(BundleError, match=says):
        bundle.load_bundle(tmp_path / "bundle")


def test_foreign_folder_or_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"sand")
    (tmp_path / "file").write_bytes(b"text")
    for name in ("holiday", "file"):
        with pytest.raises(BundleError, match="left alone"):
            write(tmp_path / name)
    assert (tmp_path / "holiday" / "beach.jpg").read_bytes() == b"sand"
    assert (tmp_path / "file").read_bytes() == b"text"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "holiday"]


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    assert write(tmp_path / "bundle").dim == 8


def test_over_an_old_bundle_the_extras_stay(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    old = write(path)
    (path / "CARD.md").write_text("a card")
    (path / "plots").mkdir()
    (path / "plots" / "loss.png").write_bytes(b"png")
    new = write(path, model=b"better", version="2")
    assert new.id != old.id
    assert bundle.load_bundle(path) == new
    assert new.model_path.read_bytes() == b"better"
    assert (path / "CARD.md").read_text() == "a card"
    assert (path / "plots" / "loss.png").read_bytes() == b"png"
    assert [one.name for one in tmp_path.iterdir()] == ["bundle"]


def test_leftovers_of_a_killed_write_are_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    write(path)
    (path / "CARD.md").write_text("a card")
    path.rename(tmp_path / ".bundle.old")  # killed between the two renames
    (tmp_path / ".bundle.new").mkdir()
    (tmp_path / ".bundle.new" / "rest").touch()
    assert write(path, version="2").version == "2"
    assert (path / "CARD.md").read_text() == "a card"
    assert [one.name for one in tmp_path.iterdir()] == ["bundle"]


def test_extras_are_no_part_of_the_hash(tmp_path: Path) -> None:
    made = write(tmp_path / "bundle")
    (made.path / "CARD.md").write_text("anything")
    assert bundle.load_bundle(made.path).id == made.id


def test_released_bundle_survives_a_copy(tmp_path: Path) -> None:
    shutil.copytree(bundle.RELEASED, tmp_path / "copy")
    assert bundle.load_bundle(tmp_path / "copy").id == bundle.load_bundle(bundle.RELEASED).id
