"""Data sets for training and evaluation: photo folders, splits, degradation."""

from __future__ import annotations

from embedder.datasets import degradation
from embedder.datasets.degradation import degrade
from embedder.datasets.file_names import (
    FileFinder,
    in_code_pages,
    is_system_name,
    is_told,
    name_parts,
    plain_path,
    read_lines,
    similar_names,
)
from embedder.datasets.photo_folders import find_photos, scan_photos
from embedder.datasets.photo_sorting import SUFFIXES, LeftOut, Scan, Sorter
from embedder.datasets.splits import Photos, choose_skus, left_out, read_skus, set_name, split_references, split_share
from embedder.datasets.till_views import till_view, write_till_views

__all__ = [
    "SUFFIXES",
    "FileFinder",
    "LeftOut",
    "Photos",
    "Scan",
    "Sorter",
    "choose_skus",
    "degradation",
    "degrade",
    "find_photos",
    "in_code_pages",
    "is_system_name",
    "is_told",
    "left_out",
    "name_parts",
    "plain_path",
    "read_lines",
    "read_skus",
    "scan_photos",
    "set_name",
    "similar_names",
    "split_references",
    "split_share",
    "till_view",
    "write_till_views",
]
