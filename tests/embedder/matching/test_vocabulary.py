"""Visual words: the nearest ones, weighed as the papers say, the same from a file; learned from photos; in a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from embedder import matching
from embedder.bundle import RELEASED, WORDS_FILE, load_bundle, rewrite_bundle
from embedder.cli import main
from embedder.errors import BundleError, DataError
from embedder.matching import QUERY, REFERENCE, LocalFeatures, Vocabulary, vocabulary_learning
from embedder.matching.local_features import detect
from embedder.matching.vocabulary import NEAR


def details_of(descriptors: np.ndarray) -> LocalFeatures:
    return LocalFeatures(np.zeros((len(descriptors), 4), np.float32), descriptors.astype(np.uint8), 100, 100)


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(np.random.default_rng(3).integers(0, 256, (200, 128), np.uint8))


def in_groups(count: int, seed: int = 5) -> Vocabulary:
    """Words near the middles of so many groups, eight of each."""
    rng = np.random.default_rng(seed)
    middles = rng.integers(40, 216, (count, 128), np.uint8)
    centres = np.repeat(middles, 8, axis=0) + rng.integers(0, 8, (8 * count, 128), np.uint8)
    return Vocabulary(centres, middles, np.arange(0, 8 * count + 1, 8))


def nearest(asked: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return ((asked[:, None].astype(int) - centres[None].astype(int)) ** 2).sum(axis=2).argmin(axis=1)


def test_the_nearest_words_are_found(vocabulary: Vocabulary) -> None:
    asked = np.random.default_rng(4).integers(0, 256, (150, 128), np.uint8)
    assert np.array_equal(vocabulary.assign(asked), nearest(asked, vocabulary.centres))


@pytest.mark.parametrize("count", [1, NEAR - 1, NEAR, 40])
def test_words_in_groups_are_found_by_the_nearest_groups(count: int) -> None:
    vocabulary = in_groups(count)
    chosen = np.random.default_rng(6).permutation(len(vocabulary)).repeat(3)
    assert np.array_equal(vocabulary.assign(vocabulary.centres[chosen]), chosen)


def test_up_to_so_many_groups_nothing_is_missed() -> None:
    vocabulary = in_groups(NEAR)
    asked = np.random.default_rng(7).integers(0, 256, (500, 128), np.uint8)
    assert np.array_equal(vocabulary.assign(asked), nearest(asked, vocabulary.centres))


def test_a_repeated_word_counts_once(vocabulary: Vocabulary) -> None:
    # Word 7 four times, word 2 once: both alike, and together of unit length.
    sparse = vocabulary.encode(details_of(vocabulary.centres[[7, 7, 2, 7, 7]]))
    assert sparse.indexes.tolist() == [2, 7]
    assert sparse.values.tolist() == pytest.approx([1 / 2**0.5, 1 / 2**0.5])


def test_of_a_query_the_strongest_descriptors_count(vocabulary: Vocabulary) -> None:
    strongest = np.repeat(vocabulary.centres[[3]], REFERENCE.count, axis=0)
    sparse = vocabulary.encode(details_of(np.concatenate([strongest, vocabulary.centres[[9]]])))
    assert sparse.indexes.tolist() == [3]


def test_a_photo_without_details_has_no_words(vocabulary: Vocabulary) -> None:
    sparse = vocabulary.encode(details_of(np.empty((0, 128))))
    assert (len(sparse), sparse.indexes.dtype, sparse.values.dtype) == (0, np.uint32, np.float32)


def test_file_and_back(tmp_path: Path) -> None:
    vocabulary = in_groups(12)
    file = tmp_path / WORDS_FILE
    file.write_bytes(vocabulary.to_bytes())
    again = Vocabulary.load(file)
    assert len(again) == 96
    for one, other in ((again.centres, vocabulary.centres), (again.groups, vocabulary.groups)):
        assert np.array_equal(one, other)
    assert again.to_bytes() == vocabulary.to_bytes()
    asked = np.random.default_rng(8).integers(0, 256, (60, 128), np.uint8)
    assert np.array_equal(again.assign(asked), vocabulary.assign(asked))


@pytest.mark.parametrize("soft", [1, 2])
def test_words_of_older_bundles(soft: int, vocabulary: Vocabulary, tmp_path: Path) -> None:
    file = tmp_path / WORDS_FILE
    np.savez_compressed(file, centres=vocabulary.centres, soft=np.int64(soft))
    if soft == 1:
        assert np.array_equal(Vocabulary.load(file).centres, vocabulary.centres)
    else:
        with pytest.raises(BundleError, match="older kind"):
            Vocabulary.load(file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not quite", b"words"])
def test_other_files_are_no_words(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / WORDS_FILE
    file.write_bytes(content)
    with pytest.raises(BundleError, match="holds no visual words"):
        Vocabulary.load(file)


SOME = np.zeros((10, 128), np.uint8)


@pytest.mark.parametrize(
    ("centres", "groups", "starts"),
    [
        (np.zeros((10, 64), np.uint8), None, None),
        (np.zeros((10, 128), np.float32), None, None),
        (np.zeros((0, 128), np.uint8), None, None),
        (SOME, SOME[:2].astype(np.float32), np.array([0, 5, 10])),
        (SOME, SOME[:2], np.array([0, 10])),
        (SOME, SOME[:2], np.array([0, 10, 10])),
        (SOME, SOME[:2], np.array([0, 5, 11])),
        (SOME, SOME[:2], np.array([1, 5, 10])),
    ],
)
def test_what_is_no_vocabulary(centres: np.ndarray, groups: np.ndarray | None, starts: np.ndarray | None) -> None:
    with pytest.raises(BundleError):
        Vocabulary(centres, groups, starts)


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
        [detect(Image.open(prints / f"sku-{sku}" / name).convert("RGB"), QUERY) for sku in range(8)]
        for name in ("a.png", "b.png")
    )
    vocabulary = vocabulary_learning.train_vocabulary(np.concatenate([one.descriptors for one in first]), 256, seed=1)
    assert len(vocabulary) == 256
    assert len(vocabulary.groups) == 2

    def dense(details: LocalFeatures) -> np.ndarray:
        sparse, row = vocabulary.encode(details), np.zeros(256)
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
    told = CliRunner().invoke(main, ["words", str(prints), "--out", str(bundle), "--count", "64"])
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
        matching.train_from_photos([tmp_path / "plain" / "a.png"], 16)
