"""A comparison of two networks in seconds: what comes out, what is not done twice, what ends it before it begins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder import cli, datasets
from embedder.bundle import load_bundle
from embedder.comparison import comparing, table
from embedder.errors import DataError
from embedder.training.recipe import TrainConfig

pytestmark = pytest.mark.slow

NAMES = ("efficientnetlite0", "mobilenetv3small")


def run(shapes: Path, out: Path, *more: object) -> Result:
    words = ["compare", shapes, "--out", out, "--backbones", ",".join(NAMES), "--schedule", "32:1"]
    words += ["--weights", "none", "--dims", "16", "-p", "4", "-k", "3", *more]
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def failed(shapes: Path, out: Path, *more: object) -> str:
    """The one line that the command says when it fails."""
    result = run(shapes, out, *more)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture(scope="module")
def compared(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compare") / "out"
    result = run(shapes, out)
    assert result.exit_code == 0, result.output
    assert result.stdout == (out / "compare.md").read_text()
    return out


def written(out: Path) -> dict[str, int]:
    """When each file of the trainings was written."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(out.rglob("*/**/*")) if path.is_file()}


def entries(out: Path) -> dict[str, Any]:
    return {entry["network"]: entry for entry in json.loads((out / comparing.JSON_FILE).read_text())["networks"]}


def test_figures(compared: Path) -> None:
    found = entries(compared)
    assert sorted(found) == sorted(NAMES)
    for name, entry in found.items():
        assert (entry["head"], entry["dim"], entry["start"], entry["start_sha256"]) == ("pooled", 16, "none", None)
        assert (entry["epochs"], entry["steps"]) == (1, 4)  # 48 photos, 12 a batch
        assert 0 <= entry["top1"] <= entry["top5"] <= 1
        assert entry["milliseconds"] > 0
        assert entry["images_per_second"] > 0
        bundle = load_bundle(compared / entry["folder"] / "bundle")
        assert (bundle.name, bundle.dim, bundle.size) == (name, 16, 32)
        assert entry["megabytes"] == pytest.approx(bundle.model_path.stat().st_size / 1e6)
        assert entry["megabytes"] == pytest.approx(2e-6 * entry["parameters"], rel=0.15)  # two bytes each
    assert found["efficientnetlite0"]["parameters"] == pytest.approx(3.43e6, rel=0.01)
    assert found["mobilenetv3small"]["parameters"] == pytest.approx(0.95e6, rel=0.01)
    budget = json.loads((compared / comparing.JSON_FILE).read_text())["budget"]
    assert (budget["photos"], budget["skus"], budget["queries"]) == (48, 6, 12)


def test_table_and_picture(compared: Path) -> None:
    text = (compared / comparing.TABLE_FILE).read_text()
    for name, entry in entries(compared).items():
        assert f"| {name} | pooled | 16 | none | 1 | {entry['top1']:.1%} |" in text
    assert "48 photos of 6 SKUs" in text
    assert "trained from nothing" in text
    with Image.open(compared / table.PLOT_FILE) as picture:
        assert picture.format == "PNG"
        assert picture.width > 800


def test_nothing_in_it_tells_where_it_was_made(compared: Path, shapes: Path) -> None:
    for name in (comparing.JSON_FILE, comparing.TABLE_FILE):
        assert str(shapes.parent) not in (compared / name).read_text()


def test_second_run_trains_nothing(compared: Path, shapes: Path) -> None:
    before, found = written(compared), (compared / comparing.JSON_FILE).read_text()
    result = run(shapes, compared)
    assert result.exit_code == 0, result.output
    assert written(compared) == before
    assert (compared / comparing.JSON_FILE).read_text() == found
    assert "1 of" not in result.stderr


def test_killed_between_two_networks(compared: Path, shapes: Path, tmp_path: Path) -> None:
    """As it is left when the second was trained, but not yet measured: only that is done, and all are timed anew."""
    out = tmp_path / "out"
    shutil.copytree(compared, out)
    whole = json.loads((out / comparing.JSON_FILE).read_text())
    kept, lost = whole["networks"]
    left = {**whole, "networks": [{**kept, "milliseconds": None}]}
    (out / comparing.JSON_FILE).write_text(json.dumps(left))
    for name in (comparing.TABLE_FILE, table.PLOT_FILE):
        (out / name).unlink()
    shutil.rmtree(out / lost["folder"] / "bundle")
    before = written(out)
    result = run(shapes, out)
    assert result.exit_code == 0, result.output
    assert "1 of 1: mobilenetv3small" in result.stderr
    assert "going on from step 4" in result.stderr
    after = written(out)
    assert {path: when for path, when in after.items() if path in before} == before  # no epoch, no checkpoint
    again = entries(out)[lost["network"]]
    anew = {"milliseconds", "megabytes"}  # Keras numbers a second network's layers, and their names are in the file
    assert {k: v for k, v in again.items() if k not in anew} == {k: v for k, v in lost.items() if k not in anew}
    assert all(entry["milliseconds"] > 0 for entry in entries(out).values())
    assert (out / table.PLOT_FILE).is_file()


def test_another_budget_is_refused(compared: Path, shapes: Path, shape_queries: Path) -> None:
    before = written(compared)
    assert "other settings (lr)" in failed(shapes, compared, "--lr", 0.01)
    said = failed(shapes, compared, "--val", shape_queries)
    assert "photos" in said and "queries" in said and "give another --out" in said
    assert written(compared) == before


def test_start_that_cant_be_had_ends_it_before_the_first_training(shapes: Path, tmp_path: Path) -> None:
    said = failed(shapes, tmp_path / "out", "--weights", "efficientnetlite0=imagenet")
    assert "efficientnetlite0 can't start: Keras has no ImageNet download" in said
    assert "--weights efficientnetlite0=none" in said
    assert "mobilenetv3small" not in said
    missing = tmp_path / "nowhere.npz"
    assert "nowhere.npz: no such file" in failed(shapes, tmp_path / "out", "--weights", f"mobilenetv3small={missing}")
    assert not (tmp_path / "out").exists()


def test_settings_that_no_training_takes_end_it_before_the_first(shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "one size" in failed(shapes, out, "--heads", "pooled,flatten", "--schedule", "32:1,64:1")
    assert "7 SKUs" in failed(shapes, out, "-p", 7)
    assert "not among the networks" in failed(shapes, out, "--weights", "vgg16=none")
    assert not out.exists()
    assert run(shapes, out, "--val", shapes, "--split", 0.2).exit_code == 2
    assert run(shapes, out, "--backbones", "alexnet").exit_code == 2


@pytest.mark.parametrize("content", ["", "[]", '{"networks": []}'])
def test_folder_of_something_else_is_left_alone(shapes: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / comparing.JSON_FILE).write_text(content)
    assert "no comparison that this version reads" in failed(shapes, tmp_path)
    (tmp_path / comparing.JSON_FILE).rename(tmp_path / "mine.json")
    assert "left alone" in failed(shapes, tmp_path)


def test_starts() -> None:
    assert comparing.read_starts([], NAMES) == {NAMES[0]: "imagenet", NAMES[1]: "imagenet"}
    assert comparing.read_starts([f"{NAMES[1]}=a=b.npz", "none"], NAMES) == {NAMES[0]: "none", NAMES[1]: "a=b.npz"}
    with pytest.raises(DataError, match="vgg16 is not among"):
        comparing.read_starts(["vgg16=none"], NAMES)


def test_starts_of_one_name_are_told_apart_by_content(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"one")
    network = comparing.Network(NAMES[0], "pooled", 16, str(tmp_path / "a.npz"))
    before = network.folder, network.key
    (tmp_path / "a.npz").write_bytes(b"two")
    assert network.key["start"] == "a.npz"
    assert (network.folder, network.key) != before
    assert network.folder != before[0]


def test_schedule_is_scaled_to_the_minutes(settings: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    """By the speed of a few real steps, in the shares of the schedule; nothing of them is left."""
    config = TrainConfig(**{**settings, "schedule": ((32, 2), (48, 1)), "mix": 0.0})
    photos = datasets.find_photos(shapes)
    first, second = comparing._fit_schedule(config, photos, tmp_path / "speed", minutes=30)
    assert (first[0], second[0]) == (32, 48)
    assert second[1] > 5
    assert first[1] == pytest.approx(2 * second[1], abs=1)
    assert list(tmp_path.iterdir()) == []


def made_up(name: str, milliseconds: float, top1: float, start: str = "imagenet") -> dict[str, Any]:
    return {"network": name, "head": "pooled", "dim": 256, "start": start, "milliseconds": milliseconds, "top1": top1}


def test_picture_of_points_on_top_of_each_other(tmp_path: Path) -> None:
    entries = [made_up(f"network{number}", 3 + number / 100, 0.7, "none") for number in range(9)]
    table.draw([*entries, made_up("vgg16", 90, 0.71)], tmp_path / "some.png")
    table.draw(entries[:1], tmp_path / "one.png")
    with Image.open(tmp_path / "some.png") as picture:
        assert picture.width > 800
