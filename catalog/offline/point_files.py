"""Points of the gallery in files, a few thousand each (NumPy's npz, no pickles)."""

from __future__ import annotations

import hashlib
import io
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from catalog.gallery import GalleryPoint
from catalog.offline.errors import BundleRefusedError
from embedder.matching import VisualWords

#: Points of a file at most: with 300 words each, 7 MB.
OF_FILE = 2000


def packed(points: Sequence[GalleryPoint]) -> bytes:
    """Points -> the bytes of a file.

    `ids`, `products` uint8 [n, 16]; `skus` unicode [n]; `vectors` float32 [n, dim]; `counts` int64 [n] of the words of
    each point, which follow one another in `indexes` uint32 and `values` float32.
    """
    words = [point.words for point in points]
    file = io.BytesIO()
    np.savez(
        file,
        ids=_uuids([point.id for point in points]),
        products=_uuids([point.product for point in points]),
        skus=np.array([point.sku for point in points], np.str_),
        vectors=np.stack([point.vector for point in points]).astype(np.float32),
        counts=np.array([len(one) if one else 0 for one in words], np.int64),
        indexes=np.concatenate([one.indexes for one in words if one] or [np.empty(0, np.uint32)]),
        values=np.concatenate([one.values for one in words if one] or [np.empty(0, np.float32)]),
    )
    return file.getvalue()


def unpacked(data: bytes) -> list[GalleryPoint]:
    """Inverse of `packed`. Raises BundleRefusedError for anything else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            ids, products, skus = found["ids"], found["products"], found["skus"]
            vectors, counts = found["vectors"], found["counts"]
            indexes, values = found["indexes"], found["values"]
        ends = np.cumsum(counts)
        if not len(ids) == len(products) == len(skus) == len(vectors) == len(counts):
            raise ValueError("arrays of different lengths")
        return [
            GalleryPoint(
                str(uuid.UUID(bytes=ids[at].tobytes())),
                vectors[at],
                str(skus[at]),
                str(uuid.UUID(bytes=products[at].tobytes())),
                VisualWords(indexes[ends[at] - counts[at] : ends[at]], values[ends[at] - counts[at] : ends[at]])
                if counts[at]
                else None,
            )
            for at in range(len(ids))
        ]
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BundleRefusedError(f"A file of points can't be read ({error!r}).") from error


def digest(point: GalleryPoint) -> str:
    """What tells two points of one id apart, as 32 hex digits."""
    found = hashlib.sha256(point.vector.tobytes())
    found.update(f"{point.sku}\0{point.product}\0".encode())
    if point.words:
        found.update(point.words.indexes.tobytes() + point.words.values.tobytes())
    return found.hexdigest()[:32]


def read_folder(folder: Path) -> Iterator[list[GalleryPoint]]:
    """The points of each file of a folder, in the order of their names."""
    for path in sorted(folder.glob("*.npz")):
        yield unpacked(path.read_bytes())


def _uuids(texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    raw = b"".join(uuid.UUID(text).bytes for text in texts)
    return np.frombuffer(raw, np.uint8).reshape(len(texts), 16)
