"""How well a bundle tells SKUs apart: a gallery of reference photos, queries, nearest neighbour."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedder import images
from embedder.errors import DataError, ImageError
from embedder.serve import Embedder, Vectors

Photos = dict[str, list[Path]]


@dataclass(frozen=True)
class Embedded:
    """Photos of a folder, embedded. vectors: float32 [n, dim]; skus: n names; broken: a line an unusable photo."""

    vectors: Vectors
    skus: list[str]
    broken: list[str]
    seconds: float


def embed_folder(embedder: Embedder, *folders: Path) -> Embedded:
    """Embed every photo below the folders. Raises DataError when there is none that can be used."""
    try:
        return embed_photos(embedder, images.find_photos(*folders))
    except DataError:
        raise DataError(f"No usable photo below {', '.join(map(str, folders))}.") from None


def embed_photos(embedder: Embedder, photos: Photos) -> Embedded:
    """Embed photos by SKU. Raises DataError when there is none that can be used."""
    began = time.perf_counter()
    owner = {path: sku for sku, paths in photos.items() for path in paths}
    vectors: list[Vectors] = []
    skus: list[str] = []
    broken: list[str] = []
    for path, result in embedder.embed_files(owner):
        if isinstance(result, ImageError):
            broken.append(f"{path}: {result}")
        else:
            vectors.append(result)
            skus.append(owner[path])
    if not vectors:
        raise DataError("There is no photo that can be used.")
    return Embedded(np.stack(vectors), skus, broken, time.perf_counter() - began)


def split_references(photos: Photos, references: int) -> tuple[Photos, Photos]:
    """Photos by SKU -> (references, queries): so many photos of each SKU, evenly spread over the names; the rest ask.

    Neighbours by name may be frames of one video, so what lies between the references is never near to all of them. A
    SKU of fewer photos gives references only.
    """
    known: Photos = {}
    asked: Photos = {}
    for sku, paths in photos.items():
        ordered = sorted(paths)
        chosen = {round(place) for place in np.linspace(0, len(ordered) - 1, min(references, len(ordered)))}
        known[sku] = [path for i, path in enumerate(ordered) if i in chosen]
        if rest := [path for i, path in enumerate(ordered) if i not in chosen]:
            asked[sku] = rest
    return known, asked


def sku_scores(
    queries: Vectors, gallery: Vectors, gallery_skus: list[str]
) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Cosine of each query to the best photo of each SKU: float32 [queries, skus], and the SKUs, sorted."""
    names, owner = np.unique(np.array(gallery_skus), return_inverse=True)
    order = np.argsort(owner, kind="stable")  # photos of one SKU side by side, so that each SKU is one slice
    starts = np.searchsorted(owner[order], np.arange(len(names)))
    best = np.maximum.reduceat(queries @ gallery[order].T, starts, axis=1)
    return best, [str(name) for name in names]


def top_shares(scores: npt.NDArray[np.float32], names: list[str], wanted: list[str]) -> tuple[float, float]:
    """Scores [queries, skus] of the SKUs `names`, each query's right SKU -> shares right first, and in the first 5."""
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    hits = np.array(names)[ranked] == np.array(wanted)[:, np.newaxis]
    return float(hits[:, 0].mean()), float(hits.any(axis=1).mean())


@dataclass(frozen=True)
class Figures:
    """top1, top5: share of all queries (those whose SKU the gallery lacks, too) answered right in the first k SKUs."""

    top1: float
    top5: float
    queries: int
    gallery: int
    skus: int
    queries_without_sku: int
    seconds_gallery: float
    seconds_queries: float
    bundle: str
    broken: list[str]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def evaluate(embedder: Embedder, gallery: Path, queries: Path) -> Figures:
    """Enroll the photos below `gallery`, recognize those below `queries`; folders name the SKUs. Raises DataError."""
    known, asked = embed_folder(embedder, gallery), embed_folder(embedder, queries)
    began = time.perf_counter()
    scores, names = sku_scores(asked.vectors, known.vectors, known.skus)
    top1, top5 = top_shares(scores, names, asked.skus)
    searching = time.perf_counter() - began
    held = set(names)
    return Figures(
        top1=top1,
        top5=top5,
        queries=len(asked.skus),
        gallery=len(known.skus),
        skus=len(names),
        queries_without_sku=sum(sku not in held for sku in asked.skus),
        seconds_gallery=known.seconds,
        seconds_queries=asked.seconds + searching,
        bundle=embedder.bundle.id,
        broken=known.broken + asked.broken,
    )
