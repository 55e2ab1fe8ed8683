"""Embedding of whole data sets: photos by SKU -> vectors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedder import datasets
from embedder.datasets import Photos
from embedder.errors import DataError, ImageError
from embedder.inference import Embedder, Vectors


@dataclass(frozen=True)
class Embedded:
    """Embedded photos. vectors: float32 [n, dim]; skus, paths: n each; broken: a line for each unusable photo."""

    vectors: Vectors
    skus: list[str]
    broken: list[str]
    seconds: float
    paths: tuple[Path, ...] = ()


def embed_folder(embedder: Embedder, *folders: Path) -> Embedded:
    """Embed every photo below the folders. Raises DataError when no photo can be used."""
    return embed_photos(embedder, found_photos(*folders))


def embed_photos(embedder: Embedder, photos: Photos) -> Embedded:
    """Embed photos by SKU. Raises DataError when no photo can be used."""
    began = time.perf_counter()
    owner = {path: sku for sku, paths in photos.items() for path in paths}
    vectors: list[Vectors] = []
    paths: list[Path] = []
    broken: list[str] = []
    for path, result in embedder.embed_files(owner):
        if isinstance(result, ImageError):
            broken.append(f"{path}: {result}")
        else:
            vectors.append(result)
            paths.append(path)
    if not vectors:
        raise DataError(f"No usable photo. {broken[0] if broken else ''}".strip())
    seconds = time.perf_counter() - began
    return Embedded(np.stack(vectors), [owner[path] for path in paths], broken, seconds, tuple(paths))


def found_photos(*folders: Path) -> Photos:
    """Photos below the folders, by SKU. Raises DataError when there is none."""
    if not (photos := datasets.find_photos(*folders)):
        raise DataError(f"No usable photo below {', '.join(map(str, folders))}.")
    return photos
