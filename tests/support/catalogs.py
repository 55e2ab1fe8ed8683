"""Catalogs that share what is costly: the embedders, and what they saw."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.gallery import Gallery
from catalog.generations import Generations
from catalog.storage import content_hash
from embedder.bundle import load_bundle
from embedder.inference import Embedder, PhotoFeatures, Step, Vectors
from embedder.matching import LocalFeatures


class RememberingEmbedder(Embedder):
    """The real embedder, that looks at the same bytes once only, and stays open for the next catalog."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._looks: dict[str, PhotoFeatures] = {}
        self._vectors: dict[str, Vectors] = {}

    def extract_reference(
        self,
        data: bytes,
        known: LocalFeatures | None = None,
        pictures: Sequence[Image.Image] = (),
        step: Step | None = None,
    ) -> PhotoFeatures:
        key = content_hash(data)
        if key not in self._looks:
            self._looks[key] = super().extract_reference(data, known, pictures, step)
            self._vectors[key] = self._looks[key].vector
        return self._looks[key]

    def embed_bytes(self, data: bytes) -> Vectors:
        key = content_hash(data)
        if key not in self._vectors:
            self._vectors[key] = super().embed_bytes(data)
        return self._vectors[key]

    def close(self) -> None:
        """Stays open."""


_EMBEDDERS: dict[str, RememberingEmbedder] = {}
_LOADING = threading.Lock()


def open_shared(folder: Path) -> RememberingEmbedder:
    """The embedder of the bundle in a folder, one for all catalogs of this process. Raises BundleError, each time."""
    bundle = load_bundle(folder)
    with _LOADING:
        if bundle.id not in _EMBEDDERS:
            _EMBEDDERS[bundle.id] = RememberingEmbedder(bundle)
        return _EMBEDDERS[bundle.id]


def open_catalog(settings: Settings, gallery: Gallery | None = None) -> Catalog:
    return Catalog.open(settings, gallery=gallery, open_embedder=open_shared)


def with_gallery(catalog: Catalog, gallery: Gallery) -> Catalog:
    """The same catalog on another gallery."""
    generations = Generations(catalog.settings, catalog.database, gallery, catalog.photos, open_shared)
    return replace(catalog, gallery=gallery, generations=generations)
