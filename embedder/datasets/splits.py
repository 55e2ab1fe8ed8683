"""Which photos train, which are references and which ask: every split by a seed or by the names, never by chance."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from embedder.datasets import photo_folders
from embedder.errors import DataError

Photos = dict[str, list[Path]]
#: Folders and split files whose name says nothing without their folder's.
PARTS = frozenset({"train", "val", "test", "photos", "queries", "gallery", "images", "pictures", "data"})


def set_name(source: Path) -> str:
    """What a set is called: figures and cards are passed on, and name no path of the machine that they were made on."""
    full = source.resolve()
    return f"{full.parent.name}/{full.stem}" if full.stem.lower() in PARTS else full.stem


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


def split_share(photos: Photos, share: float, seed: int) -> tuple[Photos, Photos]:
    """Photos by SKU -> (rest, kept): about `share` of each SKU's photos kept aside (the paper: 0.2), drawn by the seed.

    What is kept of a folder follows from its SKU's name and its own photos alone: a training on several sets, or one
    that leaves SKUs out, keeps the same photos aside as an evaluation of one of them. Every folder keeps at least one
    photo in the rest; one of a single photo keeps none aside. Raises DataError when nothing is kept at all.
    """
    rest: Photos = {}
    kept: Photos = {}
    for sku, paths in sorted(photos.items()):
        folders: Photos = {}
        for path in paths:
            folders.setdefault(str(path.parent), []).append(path)
        aside: set[Path] = set()
        for own in folders.values():
            count = min(round(share * len(own)), len(own) - 1)
            order = np.random.default_rng([seed, 5, zlib.crc32(sku.encode())]).permutation(len(own))
            aside.update(sorted(own)[i] for i in order[:count])
        rest[sku] = [path for path in paths if path not in aside]
        if aside:
            kept[sku] = [path for path in paths if path in aside]
    if not kept:
        raise DataError(f"No SKU has photos enough to keep {share:g} of them aside.")
    return rest, kept


def choose_skus(photos: Photos, count: int, seed: int) -> list[str]:
    """Names of `count` SKUs, drawn by the seed among those of two photos and more: one to enroll and one to ask by.

    Raises DataError when there are not so many.
    """
    able = sorted(sku for sku, paths in photos.items() if len(paths) > 1)
    if len(able) < count:
        raise DataError(f"{count} SKUs are to be left out; {len(able)} have the two photos that it takes.")
    chosen = np.random.default_rng([seed, 6]).choice(len(able), count, replace=False)
    return sorted(able[i] for i in chosen)


def left_out(asked: str, folders: tuple[Path, ...], seed: int) -> tuple[str, ...]:
    """SKUs that a training leaves out, sorted. `asked`: a file that names one a line, or how many of each data folder
    ("16,0,20"; one number holds for the first folder alone), drawn by the seed.

    Raises DataError when it is neither, when a named SKU is not in the data, or there are not so many.
    """
    photos = [photo_folders.find_photos(folder) for folder in folders]
    if (file := Path(asked)).is_file():
        named = {line.strip() for line in file.read_text(encoding="utf-8").splitlines()} - {""}
        if strange := sorted(named - {sku for own in photos for sku in own}):
            raise DataError(f"{file} names {strange[0]!r}, which the data does not hold.")
        return tuple(sorted(named))
    counts = asked.split(",")
    if not all(count.strip().isdigit() for count in counts) or len(counts) > len(folders):
        raise DataError(f"--leave-out {asked}: give a file of SKUs, or a number for each data folder (16,0,20).")
    chosen = [choose_skus(own, int(count), seed) for own, count in zip(photos, counts, strict=False)]
    return tuple(sorted({sku for skus in chosen for sku in skus}))
