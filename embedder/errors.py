"""Typed errors of the embedder: of a photo, a bundle, a data set or a training."""

from __future__ import annotations


class EmbedderError(Exception):
    """Base of all errors that this package raises on purpose."""


class ImageError(EmbedderError):
    """A photo that can't be used; the message tells a user why.

    `code` is a stable, machine-readable reason: ``empty``, ``not_an_image``, ``truncated``, ``too_large``,
    ``too_many_pixels``, ``too_small``, ``too_complex``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BundleError(EmbedderError):
    """A model bundle that is missing or incomplete, or whose content does not match its hash."""


class DataError(EmbedderError):
    """Training or evaluation data that can't be used (no photos, too few SKUs for a batch)."""


class DivergedError(EmbedderError):
    """A training whose loss or weights are not finite any more: nothing that follows could be of use."""


class WeightsError(EmbedderError):
    """Initial weights that can't be loaded or do not fit the backbone."""


class DetailsError(EmbedderError):
    """A local feature file that can't be read (another kind of file or version, damaged) or written."""


class GtinError(EmbedderError):
    """Not a GTIN: wrong length, not only digits, or a wrong check digit."""
