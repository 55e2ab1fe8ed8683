"""A training that is killed, fills its disk or is begun twice: nothing is lost, and it goes on as if nothing was."""

from __future__ import annotations

import dataclasses
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.trainings import arguments, losses

pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder import cli, datasets, model_card
from embedder.bundle import load_bundle
from embedder.errors import DataError, EmbedderError
from embedder.training import recipe, work_folder
from embedder.training.trainer import CHECKPOINTS

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-c", "from embedder.cli import main; main()", "train"]


def test_killed_training_resumes_as_if_it_had_not_been(trained: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "bundle"
    asked = [*arguments(settings), "--work", str(work), "--out", str(out)]
    running = subprocess.Popen([*COMMAND, *asked], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (work / CHECKPOINTS / "checkpoint").exists():
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert running.returncode == -signal.SIGKILL

    resumed = CliRunner().invoke(cli.main, ["train", *asked, "--resume", "--note", "shapes: drawn"])
    assert resumed.exit_code == 0, resumed.output
    (done,) = re.findall(r"going on from step (\d+)", resumed.stderr)
    assert 5 <= int(done) < 30  # killed on the way
    assert losses(work) == pytest.approx(losses(trained.work), rel=1e-3)
    again = work_folder.prepare(trained.config, work, resume=True, say=lambda line: None)
    assert again.step == 30
    assert int(again._thawed.optimizer.iterations.numpy()) == 30
    for one, other in zip(again._average, trained._average, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-2, atol=1e-3)
    assert again.run(quiet=True) == []  # finished already: nothing is left to do

    bundle = load_bundle(out)
    assert bundle.id in resumed.stdout
    assert bundle.training["notes"] == ["shapes: drawn"]
    assert bundle.training["steps"] == 30
    assert "- shapes: drawn" in (out / model_card.CARD_FILE).read_text()
    assert (out / model_card.CURVES_FILE).is_file()


def test_resume_needs_a_training(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no training to go on with"):
        work_folder.prepare(recipe.TrainConfig(**settings), tmp_path / "work", resume=True, say=print)
    assert not (tmp_path / "work").exists()


class Room:
    """A folder that holds one checkpoint and not a second one, until there is `more`."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self.limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.left = threading.Event()

    def __enter__(self) -> Room:
        self.folder.mkdir()
        if self.kind == "disk":
            self._mount("size=90m")  # a checkpoint has 54 MB
        else:
            threading.Thread(target=self._limit_after_the_first, daemon=True).start()
        return self

    def _mount(self, options: str) -> None:
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")

    def _limit_after_the_first(self) -> None:
        while not (self.folder / "work" / CHECKPOINTS / "checkpoint").exists():
            if self.left.wait(0.002):
                return
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, self.limits[1]))

    def more(self) -> None:
        if self.kind == "disk":
            self._mount("remount,size=400m")
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)

    def __exit__(self, *error: object) -> None:
        self.left.set()
        resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)
        if self.kind == "disk":
            subprocess.run(["umount", str(self.folder)], capture_output=True, check=False)


@pytest.mark.parametrize("kind", ["disk", "limit"])
def test_full_disk_leaves_the_checkpoint_before(
    kind: str, trained: Any, settings: dict[str, Any], tmp_path: Path
) -> None:
    """A small file system that is really full, and (where none can be mounted) a limit to the size of a file."""
    with Room(tmp_path / "room", kind) as room:
        work, out = room.folder / "work", tmp_path / "bundle"
        asked = [*arguments(settings), "--work", str(work), "--out", str(out)]
        failed = CliRunner().invoke(cli.main, ["train", *asked])
        assert failed.exit_code == 1
        assert isinstance(failed.exception, SystemExit)
        said = [line for line in failed.stderr.splitlines() if line.startswith("embedder:")]
        assert len(said) == 1
        assert said[0] == failed.stderr.splitlines()[-1]
        assert re.search(r"checkpoint of step \d+ can't be written .* go on by --resume", said[0])
        assert not out.exists()
        steps = re.findall(r"checkpoint of step (\d+)", said[0])
        left = work_folder.resumed(trained.config, work, trained.batches.photos)
        assert left.step == int(steps[0]) - 5 >= 5
        kept = {path.name for path in (work / CHECKPOINTS).iterdir()}
        assert not [name for name in kept if name.startswith(f"ckpt-{steps[0]}")]  # nothing torn takes up room
        room.more()
        if kind == "disk":
            left.run(quiet=True)
            assert losses(work) == pytest.approx(losses(trained.work), rel=1e-3)


def test_begun_training_is_not_overwritten(trained: Any) -> None:
    before = losses(trained.work)
    with pytest.raises(DataError, match="--resume"):
        work_folder.prepare(trained.config, trained.work, resume=False, say=print)
    assert losses(trained.work) == before


def test_other_settings_are_named(trained: Any) -> None:
    other = dataclasses.replace(trained.config, lr=1.0, seed=8)
    with pytest.raises(DataError, match=r"other settings \(lr, seed\)"):
        work_folder.prepare(other, trained.work, resume=True, say=print)


def test_other_data_below_the_same_name_is_noticed(trained: Any, shapes: Path) -> None:
    photos = datasets.find_photos(shapes)
    del photos["red-bar"]
    with pytest.raises(EmbedderError, match="does not fit this training"):
        work_folder.resumed(trained.config, trained.work, photos)
