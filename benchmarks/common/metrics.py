"""Measures of a ranking that several benchmarks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def recall(scores: Any, known: Sequence[str], asked: Sequence[str], top: int) -> float:
    """Recall at `top`: the share of queries with their own SKU among the `top` references.

    Scores are [queries, references].
    """
    skus, best = np.array(known), np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return float(np.mean([sku in skus[row] for sku, row in zip(asked, best, strict=True)]))
