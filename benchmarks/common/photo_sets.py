"""Photo sets that several benchmarks measure: {SKU: photo files}."""

from __future__ import annotations

from pathlib import Path

from embedder import datasets
from embedder.datasets import Photos


def cover_photos(data: Path) -> tuple[Photos, Photos]:
    """DVD covers: one catalog picture each, and photos of them taken by four cameras."""
    covers = datasets.find_photos(data / "dvd-covers")
    pictures = {sku: [path for path in paths if path.stem == "reference"] for sku, paths in covers.items()}
    return pictures, {sku: [path for path in paths if path.stem != "reference"] for sku, paths in covers.items()}


def pack_photos(data: Path) -> tuple[Photos, Photos]:
    """Packaged groceries: their catalog pictures, and the val photos of the same SKUs."""
    grocery = data / "grocery-store"
    iconic = datasets.find_photos(grocery / "iconic-images-and-descriptions" / "Packages")
    val = datasets.find_photos(grocery / "val" / "Packages")
    return iconic, {sku: paths for sku, paths in val.items() if sku in iconic}


def flat(photos: Photos) -> tuple[list[str], list[Path]]:
    """{SKU: photos} -> two lists, the SKU and the path of each photo."""
    named = [(sku, path) for sku, paths in photos.items() for path in paths]
    return [sku for sku, _ in named], [path for _, path in named]
