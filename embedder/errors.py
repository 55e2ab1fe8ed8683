"""Typed errors of the embedder: what went wrong with a photo, a bundle or a training."""

from __future__ import annotations


class EmbedderError(Exception):
    """Base of all errors that this package raises on purpose."""


class ImageError(EmbedderError):
    """A photo that can't be used; the message says why, in words for a person.

    `code` is a stable, machine-readable reason: ``empty``, ``not_an_image``, ``truncated``, ``too_large``,
    ``too_many_pixels``, ``too_small``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BundleError(EmbedderError):
    """A model bundle that is missing, incomplete or not what its hash says."""


class DataError(EmbedderError):
    """Training or evaluation data that can't be used (no photos, too few SKUs for a batch)."""


class WeightsError(EmbedderError):
    """Starting weights that can't be loaded or do not fit the backbone."""


class DetailsError(EmbedderError):
    """Stored details of a photo that can't be read (another kind of file, another version, damaged) or written."""


class GtinError(EmbedderError):
    """A number that is no GTIN: of a wrong length, not of digits, or with a check digit that does not fit."""
