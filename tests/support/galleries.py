"""What the gallery's tests share: names, points, and processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from catalog.gallery import GalleryPoint, Vector, collection_name
from embedder.matching import VisualWords

DIM = 32
ROOT = Path(__file__).parents[2]
# Unique in each run: a real server keeps what a killed run left behind.
GENERATION = collection_name(f"test-{uuid.uuid4().hex}")
OTHER = GENERATION + "-other"


def unit_vectors(count: int, seed: int = 0) -> Vector:
    """Random float32 [count, DIM] of unit length."""
    vectors = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def point_id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def words_of(*indexes: int) -> VisualWords:
    """These words, of equal weight and unit length."""
    values = np.full(len(indexes), max(len(indexes), 1) ** -0.5, np.float32)
    return VisualWords(np.asarray(sorted(indexes), np.uint32), values)


def points(vectors: Vector, first: int = 0, words: Mapping[int, VisualWords] | None = None) -> list[GalleryPoint]:
    """A point for each vector, numbered from `first`; with the words of its number, when there are any."""
    numbers = range(first, first + len(vectors))
    return [
        GalleryPoint(point_id(n), v, f"SKU-{n}", f"product-{n}", (words or {}).get(n))
        for n, v in zip(numbers, vectors, strict=True)
    ]


PRELUDE = f"""
import os, shutil, signal, sys, time, uuid
from pathlib import Path
import numpy as np
from catalog.errors import GalleryError
from catalog.gallery import GalleryPoint, edge, edge_shards
name, dim = {GENERATION!r}, {DIM}
die = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
gallery = edge.EdgeGallery(Path(sys.argv[1]), lock_wait=0)
"""


def spawn(root: Path, script: str) -> subprocess.Popen[str]:
    """A process of its own that runs a script on the gallery in `root`."""
    command = [sys.executable, "-c", PRELUDE + script, str(root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def said(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def kill(child: subprocess.Popen[str]) -> list[str]:
    """SIGKILL; returns what the process had printed but nobody had read."""
    child.send_signal(signal.SIGKILL)
    return child.communicate()[0].split()
