"""A model bundle on disk: model.tflite + words.npz + bundle.json. What is served is exactly what its hash says.

The bundle's id is the start of a SHA-256 over everything in it (model, preprocessing, thresholds), so two bundles
that could give different answers never share one.
"""

from __future__ import annotations

import hashlib
import json
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
#: Name of the path through embedder/images/. Changed there, it must change here: old vectors no longer compare.
FIT = "letterbox-1"
#: Views whose mean is a photo's vector (see images.view). The centre beside the whole helps with what a till's camera
#: sees among clutter and costs tight crops next to nothing: benchmarks/accuracy.py.
VIEWS = ("whole", "centre")
#: The bundle that ships with the package.
RELEASED = Path(__file__).parent / "released"
#: Characters of the hash that make an id: 48 bits, short enough for a collection's name and a log line.
ID_LENGTH = 12


@dataclass(frozen=True)
class Thresholds:
    """When an answer is sure, by cosine similarity.

    A match needs `score` for its SKU and `margin` over the second SKU. `false_accept` is the rate of photos of unknown
    products that the fit aimed at; None when nothing was fitted yet.
    """

    score: float = 0.75
    margin: float = 0.02
    false_accept: float | None = None


@dataclass(frozen=True)
class RerankerWeights:
    """How the details of a photo decide where its vector is not sure (decision.py).

    The first look alone is sure with `sure_score` and `sure_margin`; else the details decide, and a match needs a
    probability of `accept`. `weights` are by name of decision.FEATURES. `false_accept` is the rate of photos of unknown
    products that the fit aimed at.
    """

    weights: dict[str, float]
    accept: float
    sure_score: float
    sure_margin: float
    false_accept: float


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    `size`: pixels a side of the network's input; `views`: what of a photo it sees; `dim`: length of a vector;
    `has_words`: whether it holds visual words; `second_look`: how details decide, None until it was calibrated.
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

    @property
    def id(self) -> str:
        """Twelve hex digits that name this very bundle."""
        return self.sha256[:ID_LENGTH]

    @property
    def model_path(self) -> Path:
        """The LiteRT model: uint8 [1, size, size, 3] -> float32 [1, dim], unit length."""
        return self.path / MODEL_FILE

    @property
    def words_path(self) -> Path | None:
        """The visual words (words.py) for the second look, if it holds some."""
        return self.path / WORDS_FILE if self.has_words else None


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_meta(meta: dict[str, Any]) -> str:
    body = {key: value for key, value in meta.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def load_bundle(path: Path) -> Bundle:
    """Read and verify a bundle folder.

    Raises BundleError when it is missing, incomplete, of another format, or when its content is not what its hash says.
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
        )
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path} is no complete model bundle: {error!r}.") from error


def check_place(path: Path) -> None:
    """Raises BundleError when a bundle can't be written to `path` because something else is there."""
    if path.exists() and not (path.is_dir() and ((path / META_FILE).is_file() or not any(path.iterdir()))):
        raise BundleError(f"{path} exists and is no model bundle: it is left alone.")


@dataclass(frozen=True)
class BundleParts:
    """What a bundle is made of; `model` and `words` are the bytes of their files, the rest is as in Bundle."""

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


def write_bundle(path: Path, parts: BundleParts) -> Bundle:
    """Write a bundle into a new folder, or in the place of an older bundle: never a half of each.

    The new folder is complete before it takes the old one's name; a process killed between the two renames leaves the
    old one aside, and the next call puts it back first. Files that belong to no hash (a model card, plots) stay.
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
    """A bundle with these parts in place of its own, written to `path` (which may be its own folder): it has a new id.

    A second look that was calibrated for other words goes with them. Raises BundleError when `path` holds something
    that is no bundle.
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
    )
    return write_bundle(path, parts)
