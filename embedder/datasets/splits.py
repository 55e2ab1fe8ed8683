"""Splits into training, reference and query photos: reproducible, by a seed or by the photos' names."""

from __future__ import annotations

import unicodedata
import zlib
from pathlib import Path

import numpy as np

from embedder.datasets import photo_folders
from embedder.datasets.file_names import read_lines
from embedder.errors import DataError

Photos = dict[str, list[Path]]
#: Names of folders and split files that need their parent folder's name to identify a set.
PARTS = frozenset({"train", "val", "test", "photos", "queries", "gallery", "images", "pictures", "data"})


def set_name(source: Path) -> str:
    """Name of a data set. Not a path: reports and model cards are passed on, and must not disclose local paths."""
    full = source.resolve()
    return f"{full.parent.name}/{full.stem}" if full.stem.lower() in PARTS else full.stem


def split_references(photos: Photos, references: int) -> tuple[Photos, Photos]:
    """Photos by SKU -> (references, queries): `references` photos of each SKU, evenly spread over the sorted names, and
    the rest.

    Neighbours by name may be frames of one video, so a query between references is never close to all of them. A SKU
    with no more photos than that has references only.
    """
    gallery: Photos = {}
    queries: Photos = {}
    for sku, paths in photos.items():
        ordered = sorted(paths)
        chosen = {round(place) for place in np.linspace(0, len(ordered) - 1, min(references, len(ordered)))}
        gallery[sku] = [path for i, path in enumerate(ordered) if i in chosen]
        if rest := [path for i, path in enumerate(ordered) if i not in chosen]:
            queries[sku] = rest
    return gallery, queries


def split_share(photos: Photos, share: float, seed: int) -> tuple[Photos, Photos]:
    """Photos by SKU -> (rest, held-out): about `share` of each SKU's photos held out (the paper: 0.2), by the seed.

    Which photos of a folder are held out depends on its SKU's name and its own photos alone: a training on several
    sets, or on fewer SKUs, holds out the same photos as an evaluation of one set. Every folder keeps at least one photo
    in the rest. Raises DataError when no photo is held out.
    """
    rest: Photos = {}
    held_out: Photos = {}
    for sku, paths in sorted(photos.items()):
        folders: Photos = {}
        for path in paths:
            folders.setdefault(str(path.parent), []).append(path)
        chosen: set[Path] = set()
        for own in folders.values():
            count = min(round(share * len(own)), len(own) - 1)
            order = np.random.default_rng([seed, 5, zlib.crc32(sku.encode())]).permutation(len(own))
            chosen.update(sorted(own)[i] for i in order[:count])
        rest[sku] = [path for path in paths if path not in chosen]
        if chosen:
            held_out[sku] = [path for path in paths if path in chosen]
    if not held_out:
        raise DataError(f"No SKU has photos enough to keep {share:g} of them aside.")
    return rest, held_out


def choose_skus(photos: Photos, count: int, seed: int) -> list[str]:
    """`count` SKUs, drawn by the seed among those with at least two photos: a reference and a query.

    Raises DataError when there are fewer.
    """
    eligible = sorted(sku for sku, paths in photos.items() if len(paths) > 1)
    if len(eligible) < count:
        raise DataError(f"{count} SKUs are to be left out; {len(eligible)} have the two photos that it takes.")
    chosen = np.random.default_rng([seed, 6]).choice(len(eligible), count, replace=False)
    return sorted(eligible[i] for i in chosen)


def read_skus(file: Path) -> set[str]:
    """The SKUs of a text file, one a line, from any editor; in NFC, as those of folders are. Raises OSError."""
    lines = read_lines(file.read_bytes())
    return {unicodedata.normalize("NFC", line.strip()) for line in lines} - {""}


def left_out(asked: str, folders: tuple[Path, ...], seed: int) -> tuple[str, ...]:
    """Held-out SKUs, which a training leaves out, sorted. `asked`: a file of one SKU a line, or how many of each data
    folder ("16,0,20"; missing numbers are 0), drawn by the seed.

    Raises DataError when it is neither, when a SKU of the file is not in the data, or a folder has fewer SKUs.
    """
    photos = [photo_folders.find_photos(folder) for folder in folders]
    if (file := Path(asked)).is_file():
        named = read_skus(file)
        if strange := sorted(named - {sku for own in photos for sku in own}):
            raise DataError(f"{file} names {strange[0]!r}, which the data does not hold.")
        return tuple(sorted(named))
    counts = asked.split(",")
    if not all(count.strip().isdigit() for count in counts) or len(counts) > len(folders):
        raise DataError(f"--leave-out {asked}: give a file of SKUs, or a number for each data folder (16,0,20).")
    chosen = [choose_skus(own, int(count), seed) for own, count in zip(photos, counts, strict=False)]
    return tuple(sorted({sku for skus in chosen for sku in skus}))
