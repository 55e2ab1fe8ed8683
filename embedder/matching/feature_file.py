"""File format of local features."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from embedder.errors import DetailsError
from embedder.matching.local_features import DIM, STEP, LocalFeatures

MAGIC = b"SKUD"
#: Of the format and of the REFERENCE detector settings: local features of another version are extracted again.
VERSION = 2
#: Magic, version, width, height, number of points; then the CRC-32 of these and of the arrays. Little-endian.
HEADER = struct.Struct("<4s4H")
CHECKSUM = struct.Struct("<I")
POINT_BYTES, DESCRIPTOR_BYTES = 4 * 2, DIM


def to_bytes(features: LocalFeatures) -> bytes:
    """Local features -> a file of 16 bytes plus 136 a point (400 points: 54,416 bytes).

    Points are rounded to STEP; those of `detect` are multiples of it already and are restored exactly. Raises
    DetailsError for arrays of other shapes and for numbers that do not fit the format.
    """
    count = len(features)
    if features.points.shape != (count, 4) or features.descriptors.shape != (count, DIM):
        raise DetailsError(f"Points {features.points.shape} do not go with descriptors {features.descriptors.shape}.")
    steps = np.round(features.points.astype(np.float64) / STEP)
    limit = np.iinfo(np.uint16).max
    if not ((steps >= 0) & (steps <= limit)).all() or max(count, features.width, features.height) > limit:
        raise DetailsError("Details of a picture that is too large for their file.")
    header = HEADER.pack(MAGIC, VERSION, features.width, features.height, count)
    arrays: bytes = steps.astype("<u2").tobytes() + features.descriptors.tobytes()
    return header + CHECKSUM.pack(zlib.crc32(arrays, zlib.crc32(header))) + arrays


def from_bytes(raw: bytes) -> LocalFeatures:
    """Inverse of `to_bytes`; the arrays are read-only.

    Raises DetailsError for anything else: another kind of file or version, a wrong length, a wrong checksum.
    """
    start = HEADER.size + CHECKSUM.size
    if raw[: len(MAGIC)] != MAGIC:
        raise DetailsError("This is no file of details: it does not begin as one.")
    if len(raw) < start:
        raise DetailsError(f"The file of details is cut short: {len(raw)} bytes.")
    _, version, width, height, count = HEADER.unpack_from(raw)
    if version != VERSION:
        raise DetailsError(f"The file of details is of version {version}; this program reads version {VERSION}.")
    expected = start + count * (POINT_BYTES + DESCRIPTOR_BYTES)
    if len(raw) != expected:
        raise DetailsError(f"The file of details has {len(raw)} bytes; its {count} points need {expected}.")
    (checksum,) = CHECKSUM.unpack_from(raw, HEADER.size)
    if checksum != zlib.crc32(raw[start:], zlib.crc32(raw[: HEADER.size])):
        raise DetailsError("The file of details is damaged: its checksum does not fit.")
    steps = np.frombuffer(raw, "<u2", count * 4, start).reshape(count, 4)
    descriptors = np.frombuffer(raw, np.uint8, count * DIM, start + count * POINT_BYTES).reshape(count, DIM)
    points = (steps * STEP).astype(np.float32)
    points.flags.writeable = False
    return LocalFeatures(points, descriptors, width, height)
