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


@dataclass(frozen=True)
class Embedded:
    """Photos of a folder, embedded. vectors: float32 [n, dim]; skus: n names; broken: a line an unusable photo."""

    vectors: Vectors
    skus: list[str]
    broken: list[str]
    seconds: float


def embed_folder(embedder: Embedder, *folders: Path) -> Embedded:
    """Embed every photo below the folders. Raises DataError when there is none that can be used."""
    began = time.perf_counter()
    owner = {path: sku for sku, paths in images.find_photos(*folders).items() for path in paths}
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
        raise DataError(f"No usable photo below {', '.join(map(str, folders))}.")
    return Embedded(np.stack(vectors), skus, broken, time.perf_counter() - began)


def sku_scores(
    queries: Vectors, gallery: Vectors, gallery_skus: list[str]
) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Cosine of each query to the best photo of each SKU: float32 [queries, skus], and the SKUs, sorted."""
    names, owner = np.unique(np.array(gallery_skus), return_inverse=True)
    order = np.argsort(owner, kind="stable")  # photos of one SKU side by side, so that each SKU is one slice
    starts = np.searchsorted(owner[order], np.arange(len(names)))
    best = np.maximum.reduceat(queries @ gallery[order].T, starts, axis=1)
    return best, [str(name) for name in names]


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
    ranked = np.argsort(-scores, axis=1)[:, :5]
    searching = time.perf_counter() - began
    held = set(names)
    hits = np.array([[names[i] == sku for i in row] for row, sku in zip(ranked, asked.skus, strict=True)])
    return Figures(
        top1=float(hits[:, 0].mean()),
        top5=float(hits.any(axis=1).mean()),
        queries=len(asked.skus),
        gallery=len(known.skus),
        skus=len(names),
        queries_without_sku=sum(sku not in held for sku in asked.skus),
        seconds_gallery=known.seconds,
        seconds_queries=asked.seconds + searching,
        bundle=embedder.bundle.id,
        broken=known.broken + asked.broken,
    )
