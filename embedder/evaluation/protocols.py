"""Which photos are references and which ask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from embedder.bundle import load_bundle
from embedder.datasets import Photos, set_name, split_references, split_share
from embedder.errors import DataError
from embedder.evaluation.embedding import found_photos


@dataclass(frozen=True)
class Protocol:
    """Which photos are the gallery (known) and which ask, and a line for people that says so."""

    known: Photos
    asked: Photos
    says: str


def two_sets(gallery: Path, queries: Path, skus: Path | None = None) -> Protocol:
    """One set is enrolled, another asks; each a folder or a split file. `skus` narrows both (see narrow).

    Raises DataError.
    """
    known, asked = found_photos(gallery), found_photos(queries)
    if skus is not None:
        kept = set(narrow({**known, **asked}, skus))
        known, asked = ({s: p for s, p in photos.items() if s in kept} for photos in (known, asked))
    return Protocol(known, asked, f"{set_name(gallery)} enrolled, {set_name(queries)} asks{_of(skus)}")


def share_aside(folder: Path, share: float, seed: int, skus: Path | None = None) -> Protocol:
    """One set: about `share` of each SKU's photos ask, drawn by the seed, the rest are enrolled. Raises DataError."""
    known, asked = split_share(narrow(found_photos(folder), skus), share, seed)
    says = f"{set_name(folder)}, {1 - share:.0%} of each SKU enrolled, {share:.0%} ask (seed {seed})"
    return Protocol(known, asked, says + _of(skus))


def few_references(folder: Path, references: int, skus: Path | None = None) -> Protocol:
    """One set: so many photos of each SKU are enrolled, spread over the names; the rest ask. Raises DataError."""
    known, asked = split_references(narrow(found_photos(folder), skus), references)
    if not asked:
        raise DataError(f"No SKU of {folder} has more than {references} photos: none is left to ask by.")
    return Protocol(known, asked, f"{set_name(folder)}, {references} of each SKU enrolled, the rest ask{_of(skus)}")


def narrow(photos: Photos, skus: Path | None) -> Photos:
    """The photos of those SKUs alone that a text file names, one a line, or that a bundle's training left out.

    None leaves all. A training leaves SKUs out of several sets, so those that this one does not hold are passed over;
    a file names what is wanted. Raises DataError when a file names a SKU that is not there, or nothing is left.
    """
    if skus is None:
        return photos
    if skus.is_dir():
        named = set(load_bundle(skus).training.get("left_out", ())) & set(photos)
        if not named:
            raise DataError(f"The training of {skus} left none of these SKUs out.")
    else:
        named = {line.strip() for line in skus.read_text(encoding="utf-8").splitlines()} - {""}
        if not named:
            raise DataError(f"{skus} names no SKU.")
        if strange := sorted(named - set(photos)):
            raise DataError(f"{skus} names {strange[0]!r}, which the photos do not hold.")
    return {sku: paths for sku, paths in photos.items() if sku in named}


def _of(skus: Path | None) -> str:
    return "" if skus is None else f"; only the SKUs of {set_name(skus)}"
