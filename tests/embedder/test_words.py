"""Visual words: the nearest ones, weighed as the papers say, the same from a file; learned from photos; in a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from embedder import words
from embedder.bundle import RELEASED, WORDS_FILE, load_bundle, rewrite_bundle
from embedder.cli import main
from embedder.details import Details, find
from embedder.errors import BundleError, DataError
from embedder.words import Vocabulary


def details_of(descriptors: np.ndarray) -> Details:
    return Details(np.zeros((len(descriptors), 4), np.float32), descriptors.astype(np.uint8), 100, 100)


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(np.random.default_rng(3).integers(0, 256, (200, 128), np.uint8))


@pytest.mark.parametrize("soft", [1, 3])
def test_the_nearest_words_are_found(vocabulary: Vocabulary, soft: int) -> None:
    asked = np.random.default_rng(4).integers(0, 256, (150, 128), np.uint8)
    plain = ((asked[:, None].astype(int) - vocabulary.centres[None].astype(int)) ** 2).sum(axis=2)
    expected = np.sort(np.argsort(plain, axis=1)[:, :soft], axis=1)
    found = Vocabulary(vocabulary.centres, soft).assign(asked)
    assert np.array_equal(np.sort(found, axis=1), expected)


def test_a_repeated_word_counts_by_its_square_root(vocabulary: Vocabulary) -> None:
    # Word 7 four times, word 2 once: sqrt(4) to sqrt(1), brought to unit length.
    sparse = vocabulary.words(details_of(vocabulary.centres[[7, 7, 2, 7, 7]]))
    assert sparse.indexes.tolist() == [2, 7]
    assert sparse.values.tolist() == pytest.approx([1 / 5**0.5, 2 / 5**0.5])


def test_a_photo_without_details_has_no_words(vocabulary: Vocabulary) -> None:
    sparse = vocabulary.words(details_of(np.empty((0, 128))))
    assert (len(sparse), sparse.indexes.dtype, sparse.values.dtype) == (0, np.uint32, np.float32)


def test_file_and_back(vocabulary: Vocabulary, tmp_path: Path) -> None:
    soft = Vocabulary(vocabulary.centres, 2)
    file = tmp_path / WORDS_FILE
    file.write_bytes(soft.to_bytes())
    again = Vocabulary.load(file)
    assert np.array_equal(again.centres, soft.centres)
    assert (again.soft, len(again)) == (2, 200)
    assert again.to_bytes() == soft.to_bytes()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not quite", b"words"])
def test_other_files_are_no_words(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / WORDS_FILE
    file.write_bytes(content)
    with pytest.raises(BundleError, match="holds no visual words"):
        Vocabulary.load(file)


@pytest.mark.parametrize(
    ("centres", "soft"),
    [
        (np.zeros((10, 64), np.uint8), 1),
        (np.zeros((10, 128), np.float32), 1),
        (np.zeros((0, 128), np.uint8), 1),
        (np.zeros((10, 128), np.uint8), 11),
        (np.zeros((10, 128), np.uint8), 0),
    ],
)
def test_what_is_no_vocabulary(centres: np.ndarray, soft: int) -> None:
    with pytest.raises(BundleError):
        Vocabulary(centres, soft)


@pytest.fixture(scope="module")
def prints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos full of details: coarse noise, each turned upside down as its second photo."""
    folder = tmp_path_factory.mktemp("prints")
    for sku in range(8):
        rng = np.random.default_rng(sku)
        picture = Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).resize(
            (320, 320), Image.Resampling.LANCZOS
        )
        (folder / f"sku-{sku}").mkdir()
        picture.save(folder / f"sku-{sku}" / "a.png")
        picture.rotate(180).save(folder / f"sku-{sku}" / "b.png")
    return folder


def test_words_know_a_print_again_upside_down(prints: Path) -> None:
    pytest.importorskip("faiss", reason="faiss (extra `train`) is not installed")
    first, second = (
        [find(Image.open(prints / f"sku-{sku}" / name).convert("RGB")) for sku in range(8)]
        for name in ("a.png", "b.png")
    )
    vocabulary = words.learn(np.concatenate([one.descriptors for one in first]), 256, seed=1)
    assert len(vocabulary) == 256

    def dense(details: Details) -> np.ndarray:
        sparse, row = vocabulary.words(details), np.zeros(256)
        row[sparse.indexes] = sparse.values
        return row

    scores = np.array([[dense(asked) @ dense(known) for known in first] for asked in second])
    assert scores.argmax(axis=1).tolist() == list(range(8))


def test_words_go_into_a_bundle_and_stay(prints: Path, tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="faiss (extra `train`) is not installed")
    bundle = tmp_path / "bundle"
    shutil.copytree(RELEASED, bundle)
    before = load_bundle(bundle)
    (prints / "broken.png").write_bytes(b"no picture")
    told = CliRunner().invoke(main, ["words", str(prints), "--out", str(bundle), "--count", "64", "--soft", "2"])
    assert told.exit_code == 0, told.output
    assert "skipped" in told.stderr
    assert "broken.png" in told.stderr
    made = load_bundle(bundle)
    assert f"64 words of 16 photos: bundle {made.id}" in told.stdout
    assert made.id != before.id
    assert made.words_path is not None
    assert len(Vocabulary.load(made.words_path)) == 64
    assert made.training["words"]["photos"] == 16
    assert made.model_path.read_bytes() == before.model_path.read_bytes()
    # Other parts may change without it, and the same again is the same bundle.
    again = rewrite_bundle(made, tmp_path / "copy")
    assert again.id == made.id
    assert again.words_path is not None


def test_too_few_details_are_an_error(tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="faiss (extra `train`) is not installed")
    (tmp_path / "plain").mkdir()
    Image.new("RGB", (200, 200), "gray").save(tmp_path / "plain" / "a.png")
    with pytest.raises(DataError, match="0 descriptors do not make 16 words"):
        words.learn_from([tmp_path / "plain" / "a.png"], 16)
