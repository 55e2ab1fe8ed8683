"""A model bundle on disk: model.tflite + words.npz + bundle.json, verified by its hash before it is served.

The bundle's id is the prefix of a SHA-256 over all its content (model, preprocessing, thresholds), so two bundles that
could give different answers never share an id.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedder.errors import BundleError

FORMAT = 1
MODEL_FILE = "model.tflite"
WORDS_FILE = "words.npz"
META_FILE = "bundle.json"
#: Version of the preprocessing in embedder/images/. Change both together: vectors of different versions don't compare.
FIT = "letterbox-1"
#: Views whose mean is a photo's vector (see images.view). Adding the centre helps where a till's camera sees clutter
#: around the product, and costs tight crops next to nothing: benchmarks/accuracy.py.
VIEWS = ("whole", "centre")
#: The bundle that ships with the package.
RELEASED = Path(__file__).parent / "released"
#: Hex digits of the hash that make an id (48 bits): short enough for a collection's name and a log line.
ID_LENGTH = 12


@dataclass(frozen=True)
class Thresholds:
    """Decision thresholds on cosine similarity.

    A match needs `score` for its SKU and `margin` over the second SKU. `false_accept` is the false accept rate (of
    photos of unknown products) that the fit aimed at; None before a calibration.
    """

    score: float = 0.75
    margin: float = 0.02
    false_accept: float | None = None


@dataclass(frozen=True)
class RerankerWeights:
    """Re-ranking (the second look): how local features decide where the vector is not sure (matching/reranker.py).

    The first look alone is sure with `sure_score` and `sure_margin`; else the details decide, and a match needs a
    probability of `accept`. `weights` are by name of reranker.FEATURES. `false_accept` is the rate of photos of unknown
    products that the fit aimed at. `floor`: a cosine below it says nothing; None in bundles of an older version, whose
    weights are of reranker.OLDER.
    """

    weights: dict[str, float]
    accept: float
    sure_score: float
    sure_margin: float
    false_accept: float
    floor: float | None = None


@dataclass(frozen=True)
class SelfTest:
    """A drawn picture, and the vector that the model gave for it where the bundle was exported.

    `picture`: how it is drawn (see inference/self_test.py); `vector`: [dim] numbers, of unit length; `cosine`: another
    machine's vector has at least so much of it, above 0 and at most 1.
    """

    picture: dict[str, Any]
    vector: tuple[float, ...]
    cosine: float


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    `size`: side of the network's input in pixels; `views`: crops of a photo that it embeds; `dim`: length of a vector;
    `has_words`: whether it has visual words; `second_look`: weights of the re-ranking, None before its calibration;
    `self_test`: None in bundles that were exported before there was one.
    """

    path: Path
    name: str
    version: str
    sha256: str
    dim: int
    size: int
    views: tuple[str, ...]
    thresholds: Thresholds
    has_words: bool = False
    second_look: RerankerWeights | None = None
    training: dict[str, Any] = field(default_factory=dict)
    self_test: SelfTest | None = None

    @property
    def id(self) -> str:
        """Twelve hex digits that identify this bundle."""
        return self.sha256[:ID_LENGTH]

    @property
    def model_path(self) -> Path:
        """The LiteRT model: uint8 [1, size, size, 3] -> float32 [1, dim], unit length."""
        return self.path / MODEL_FILE

    @property
    def words_path(self) -> Path | None:
        """The visual words (matching/vocabulary.py) for the second look (re-ranking); None without any."""
        return self.path / WORDS_FILE if self.has_words else None


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_meta(meta: dict[str, Any]) -> str:
    body = {key: value for key, value in meta.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def load_bundle(path: Path) -> Bundle:
    """Read and verify a bundle folder.

    Raises BundleError when it is missing, incomplete, of another format, or does not match its hash.
    """
    meta_path = path / META_FILE
    if not meta_path.is_file():
        raise BundleError(f"{path} is no model bundle: it has no {META_FILE}.")
    try:
        meta = json.loads(meta_path.read_text(encoding="utf-8"))
        if meta["format"] != FORMAT or meta["preprocessing"]["fit"] != FIT:
            raise BundleError(
                f"{path} has format {meta['format']} ({meta['preprocessing']['fit']}); "
                f"this version reads format {FORMAT} ({FIT})."
            )
        if meta["sha256"] != _hash_meta(meta):
            raise BundleError(f"{path}/{META_FILE} was changed after it was written: its hash does not fit.")
        if MODEL_FILE not in meta["files"]:  # nothing would say that the model is the one that was exported
            raise BundleError(f"{path} is no complete model bundle: its {META_FILE} has no hash of {MODEL_FILE}.")
        for name, expected in meta["files"].items():
            if _hash_file(path / name) != expected:
                raise BundleError(f"{path}/{name} is damaged: its hash is not the one in {META_FILE}.")
        return Bundle(
            path=path,
            name=meta["name"],
            version=meta["version"],
            sha256=meta["sha256"],
            dim=int(meta["dim"]),
            size=int(meta["preprocessing"]["size"]),
            views=tuple(meta["preprocessing"]["views"]),
            thresholds=Thresholds(**meta["thresholds"]),
            has_words=WORDS_FILE in meta["files"],
            second_look=RerankerWeights(**meta["second_look"]) if meta.get("second_look") else None,
            training=meta["training"],
            self_test=_self_test(meta),
        )
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path} is no complete model bundle: {error!r}.") from error


def _self_test(meta: dict[str, Any]) -> SelfTest | None:
    """Raises KeyError, TypeError or ValueError for one that can't be used."""
    if "self_test" not in meta:
        return None
    stated = meta["self_test"]
    vector, cosine = tuple(map(float, stated["vector"])), float(stated["cosine"])
    if len(vector) != meta["dim"] or not all(map(math.isfinite, vector)) or not any(vector) or not 0 < cosine <= 1:
        raise ValueError("the vector of its self-test is none of its model")
    return SelfTest(dict(stated["picture"]), vector, cosine)


def check_place(path: Path) -> None:
    """Raises BundleError when a bundle can't be written to `path` because something else is there."""
    if not path.name:
        raise BundleError(f"{path} is no name for a new folder.")
    if path.exists() and not (path.is_dir() and ((path / META_FILE).is_file() or not any(path.iterdir()))):
        raise BundleError(f"{path} exists and is no model bundle: it is left alone.")


@dataclass(frozen=True)
class BundleParts:
    """Parts to write a bundle from; `model` and `words` are the bytes of their files, the rest is as in Bundle."""

    model: bytes
    name: str
    version: str
    dim: int
    size: int
    views: tuple[str, ...] = VIEWS
    thresholds: Thresholds = field(default_factory=Thresholds)
    training: dict[str, Any] = field(default_factory=dict)
    words: bytes | None = None
    second_look: RerankerWeights | None = None
    self_test: SelfTest | None = None


def write_bundle(path: Path, parts: BundleParts) -> Bundle:
    """Write a bundle into a new folder, or replace an older bundle, never leaving a mixture of both.

    The new folder is complete before it is renamed to `path`. A process killed between the two renames leaves the old
    bundle set aside; the next call restores it first. Files outside the hash (a model card, plots) are kept.
    Raises BundleError when `path` holds something that is no bundle.
    """
    check_place(path)
    path = path.absolute()
    fresh, old = path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():
        os.rename(old, path)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    files = {MODEL_FILE: parts.model} | ({} if parts.words is None else {WORDS_FILE: parts.words})
    for file, content in files.items():
        (fresh / file).write_bytes(content)
    meta: dict[str, Any] = {
        "format": FORMAT,
        "name": parts.name,
        "version": parts.version,
        "dim": parts.dim,
        "files": {file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
        "preprocessing": {"fit": FIT, "size": parts.size, "views": list(parts.views)},
        "thresholds": vars(parts.thresholds),
        "training": parts.training,
    }
    if parts.second_look is not None:
        meta["second_look"] = vars(parts.second_look)
    if parts.self_test is not None:
        meta["self_test"] = vars(parts.self_test)
    meta["sha256"] = _hash_meta(meta)
    (fresh / META_FILE).write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(path, old)
        os.rename(fresh, path)
        for extra in old.iterdir():
            if extra.name != WORDS_FILE and not (path / extra.name).exists():
                shutil.move(extra, path / extra.name)
        shutil.rmtree(old)
    else:
        os.rename(fresh, path)
    return load_bundle(path)


def rewrite_bundle(
    old: Bundle,
    path: Path,
    *,
    thresholds: Thresholds | None = None,
    training: dict[str, Any] | None = None,
    words: bytes | None = None,
    second_look: RerankerWeights | None = None,
) -> Bundle:
    """Copy a bundle to `path` (which may be its own folder) with these parts replaced; the copy has a new id.

    New words drop the old re-ranking weights, which were calibrated for the old words. Raises BundleError when `path`
    holds something that is no bundle.
    """
    if words is None and old.words_path is not None:
        words = old.words_path.read_bytes()
        second_look = second_look or old.second_look
    parts = BundleParts(
        old.model_path.read_bytes(),
        name=old.name,
        version=old.version,
        dim=old.dim,
        size=old.size,
        views=old.views,
        thresholds=thresholds or old.thresholds,
        training=old.training if training is None else training,
        words=words,
        second_look=second_look,
        self_test=old.self_test,
    )
    return write_bundle(path, parts)
