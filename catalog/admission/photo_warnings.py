"""Warnings about a photo: their codes and labels."""

from __future__ import annotations

from typing import Literal

from embedder.images.quality import Fault

Code = Literal[Fault, "same_picture", "same_pack", "close_to_other"]
#: Short label of each code, for lists of photos that were accepted despite a warning.
WARNING_LABELS: dict[str, str] = {
    "too_small": "too small",
    "too_dark": "too dark",
    "too_bright": "too bright",
    "too_blurred": "blurred",
    "same_picture": "the same picture was there already",
    "same_pack": "another product has a photo of the same pack",
    "close_to_other": "close to another product",
}
