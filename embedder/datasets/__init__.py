"""Data sets for training and evaluation: photo folders, splits, degradation."""

from __future__ import annotations

from embedder.datasets import degradation
from embedder.datasets.degradation import degrade
from embedder.datasets.photo_folders import SUFFIXES, find_photos
from embedder.datasets.splits import Photos, choose_skus, left_out, set_name, split_references, split_share
from embedder.datasets.till_views import till_view, write_till_views

__all__ = [
    "SUFFIXES",
    "Photos",
    "choose_skus",
    "degradation",
    "degrade",
    "find_photos",
    "left_out",
    "set_name",
    "split_references",
    "split_share",
    "till_view",
    "write_till_views",
]
