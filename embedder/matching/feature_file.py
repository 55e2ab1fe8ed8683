"""Local features as the bytes of a file."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from embedder.errors import DetailsError
from embedder.matching.local_features import DIM, STEP, LocalFeatures

MAGIC = b"SKUD"
#: Of the file, and of what is looked for in a reference photo: details of another version are made again.
VERSION = 2
#: Magic, version, width, height, number of points; then the CRC-32 of these and of the arrays. Little-endian.
HEADER = struct.Struct("<4s4H")
CHECKSUM = struct.Struct("<I")
POINT_BYTES, DESCRIPTOR_BYTES = 4 * 2, DIM


def to_bytes(details: LocalFeatures) -> bytes:
    """Details -> a file of 16 bytes and 136 a point (400: 54,416 bytes). Raises DetailsError if a number does not fit.

    Points are rounded to STEP; those that `find` made are multiples of it already and come back as they were.
    """
    count = len(details)
    if details.points.shape != (count, 4) or details.descriptors.shape != (count, DIM):
        raise DetailsError(f"Points {details.points.shape} do not go with descriptors {details.descriptors.shape}.")
    steps = np.round(details.points.astype(np.float64) / STEP)
    limit = np.iinfo(np.uint16).max
    if not ((steps >= 0) & (steps <= limit)).all() or max(count, details.width, details.height) > limit:
        raise DetailsError("Details of a picture that is too large for their file.")
    header = HEADER.pack(MAGIC, VERSION, details.width, details.height, count)
    arrays: bytes = steps.astype("<u2").tobytes() + details.descriptors.tobytes()
    return header + CHECKSUM.pack(zlib.crc32(arrays, zlib.crc32(header))) + arrays


def from_bytes(raw: bytes) -> LocalFeatures:
    """What `to_bytes` made -> the details; their arrays are read-only.

    Raises DetailsError for anything else: another kind of file or version, cut short or longer, a bit that changed.
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
