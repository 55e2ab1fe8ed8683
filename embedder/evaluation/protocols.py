"""Evaluation protocols: which photos are the gallery and which are queries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from embedder.bundle import load_bundle
from embedder.datasets import Photos, read_skus, set_name, split_references, split_share
from embedder.errors import DataError
from embedder.evaluation.embedding import found_photos


@dataclass(frozen=True)
class Protocol:
    """Photos of the gallery (`known`), of the queries (`asked`), and a description for people (`says`)."""

    known: Photos
    asked: Photos
    says: str


def two_sets(gallery: Path, queries: Path, skus: Path | None = None) -> Protocol:
    """Gallery and queries of two sets, each a folder or a split file; `skus` narrows both (see narrow).

    Raises DataError.
    """
    known, asked = found_photos(gallery), found_photos(queries)
    if skus is not None:
        selected = set(narrow({**known, **asked}, skus))
        known, asked = ({s: p for s, p in photos.items() if s in selected} for photos in (known, asked))
    return Protocol(known, asked, f"{set_name(gallery)} enrolled, {set_name(queries)} asks{_of(skus)}")


def share_aside(folder: Path, share: float, seed: int, skus: Path | None = None) -> Protocol:
    """One set: about `share` of each SKU's photos are queries, by the seed, the rest the gallery. Raises DataError."""
    known, asked = split_share(narrow(found_photos(folder), skus), share, seed)
    says = f"{set_name(folder)}, {1 - share:.0%} of each SKU enrolled, {share:.0%} ask (seed {seed})"
    return Protocol(known, asked, says + _of(skus))


def few_references(folder: Path, references: int, skus: Path | None = None) -> Protocol:
    """One set: `references` photos of each SKU are the gallery, spread over the names, the rest queries.

    Raises DataError.
    """
    known, asked = split_references(narrow(found_photos(folder), skus), references)
    if not asked:
        raise DataError(f"No SKU of {folder} has more than {references} photos: none is left to ask by.")
    return Protocol(known, asked, f"{set_name(folder)}, {references} of each SKU enrolled, the rest ask{_of(skus)}")


def narrow(photos: Photos, skus: Path | None) -> Photos:
    """Restrict photos to the SKUs of a text file, one a line, or to the held-out SKUs of a bundle's training.

    None restricts nothing. A bundle's SKUs may be of several sets, so those missing here are ignored; a file's must all
    exist. Raises DataError when a SKU of a file is missing, or no SKU is left.
    """
    if skus is None:
        return photos
    if skus.is_dir():
        named = set(load_bundle(skus).training.get("left_out", ())) & set(photos)
        if not named:
            raise DataError(f"The training of {skus} left none of these SKUs out.")
    else:
        named = read_skus(skus)
        if not named:
            raise DataError(f"{skus} names no SKU.")
        if strange := sorted(named - set(photos)):
            raise DataError(f"{skus} names {strange[0]!r}, which the photos do not hold.")
    return {sku: paths for sku, paths in photos.items() if sku in named}


def _of(skus: Path | None) -> str:
    return "" if skus is None else f"; only the SKUs of {set_name(skus)}"
