"""What the second look compares: vectors, local features and visual words of photo files."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedder.inference import Embedder
from embedder.matching import LocalFeatures, VisualWords, Vocabulary, extract, from_bytes, to_bytes
from embedder.matching.local_features import DetectorSettings


@dataclass
class Side:
    """Photos of a set: SKUs [n], vectors float32 [n, dim], local features and visual words."""

    skus: list[str]
    vectors: Any
    details: list[LocalFeatures]
    words: list[VisualWords]


def open_with_words(bundle: Path) -> tuple[Embedder, Vocabulary]:
    """A bundle's embedder and its vocabulary; exits if the bundle has none."""
    embedder = Embedder.open(bundle)
    if embedder.vocabulary is None:
        sys.exit(f"{bundle} has no visual words: `embedder words` makes them")
    return embedder, embedder.vocabulary


def read_side(
    embedder: Embedder,
    vocabulary: Vocabulary,
    skus: list[str],
    paths: Sequence[Path],
    sight: DetectorSettings,
    cache: Path | None,
) -> Side:
    """Vectors, local features (from the cache if they are there) and visual words of photo files."""
    vectors = np.stack([vector for _, vector in embedder.embed_files(paths)])
    details = read_details(paths, sight, cache)
    return Side(skus, vectors, details, [vocabulary.encode(one) for one in details])


def read_details(paths: Sequence[Path], sight: DetectorSettings, cache: Path | None = None) -> list[LocalFeatures]:
    """Local features of photo files, kept in the folder `cache` for the next run.

    The cache is good for one version of embedder/matching/local_features.py.
    """
    if cache:
        cache.mkdir(parents=True, exist_ok=True)

    def one(path: Path) -> LocalFeatures:
        raw = path.read_bytes()
        kept = cache / f"{hashlib.sha256(raw).hexdigest()}-{sight.side}-{sight.count}" if cache else None
        if kept and kept.exists():
            return from_bytes(kept.read_bytes())
        details = extract(raw, sight)
        if kept:
            kept.write_bytes(to_bytes(details))
        return details

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, paths))
