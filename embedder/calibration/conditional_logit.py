"""Conditional logit: the weights by which choosers choose one of their alternatives, or none.

McFadden 1974, "Conditional logit analysis of qualitative choice behavior". The log likelihood is concave, so Newton's
method finds its only maximum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
#: Newton steps at most, and the gain in penalized log likelihood below which the fit has converged.
STEPS, GAIN = 50, 1e-10


def fit_conditional_logit(
    tables: Sequence[Floats], chosen: Sequence[int], shares: Floats, ridge: float = 1e-3, free: int | None = None
) -> Floats:
    """Features [alternatives, features] of each chooser, and the alternative chosen (-1: none) -> weights [features].

    `shares` [choosers] say how much each chooser counts, and sum to 1. `ridge` holds the weights of standardized
    features near 0: where few choosers tell, no weight runs away. The weights of the first `free` features may have any
    sign, those of the others are not below 0: what would be is left out, the lowest first (an active set).
    """
    table, there = _stacked(tables)
    spread = table[there].std(axis=0)
    spread[spread == 0] = 1.0
    table = table / spread
    pick = np.asarray(chosen)
    some = pick >= 0
    picked = np.zeros((len(tables), table.shape[2]))
    picked[some] = table[some, pick[some]]
    kept = np.arange(table.shape[2])
    while True:
        found = _maximum(table[:, :, kept], there, picked[:, kept], shares, ridge)
        bound = np.where(kept < free, np.inf, found) if free is not None else np.full(len(kept), np.inf)
        if bound.min() >= 0:
            break
        kept = np.delete(kept, bound.argmin())
    weights: Floats = np.zeros(table.shape[2])
    weights[kept] = found / spread[kept]
    return weights


def _maximum(table: Floats, there: npt.NDArray[np.bool_], picked: Floats, shares: Floats, ridge: float) -> Floats:
    """Standardized features [choosers, alternatives, features] -> the weights of the highest likelihood, [features]."""
    weights: Floats = np.zeros(table.shape[2])
    value, chances = _value(weights, table, there, picked, shares, ridge)
    flat = table.reshape(-1, table.shape[2])
    for _ in range(STEPS):
        mean = np.einsum("nm,nmf->nf", chances, table)
        slope = shares @ (picked - mean) - ridge * weights
        second = flat.T @ (flat * (shares[:, None] * chances).reshape(-1, 1))
        curve = second - (shares[:, None] * mean).T @ mean + ridge * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        # Backtracking: halve a step that lowers the likelihood.
        while (found := _value(weights + step, table, there, picked, shares, ridge))[0] < value:
            step /= 2
            if np.abs(step).max() < 1e-12:
                break
        gain, weights = found[0] - value, weights + step
        value, chances = found
        if gain < GAIN:
            break
    return weights


def log_likelihood(weights: Floats, tables: Sequence[Floats], chosen: Sequence[int], shares: Floats) -> float:
    """How probable the choices are by these weights: the mean log, by `shares`."""
    table, there = _stacked(tables)
    pick = np.asarray(chosen)
    picked = np.zeros((len(tables), table.shape[2]))
    picked[pick >= 0] = table[pick >= 0, pick[pick >= 0]]
    return _value(weights, table, there, picked, shares, 0.0)[0]


def _value(
    weights: Floats, table: Floats, there: npt.NDArray[np.bool_], picked: Floats, shares: Floats, ridge: float
) -> tuple[float, Floats]:
    """The penalized log likelihood, and the probability of each alternative [choosers, alternatives]."""
    utilities = np.where(there, table @ weights, -np.inf)
    highest = np.maximum(utilities.max(axis=1), 0.0)
    powers = np.exp(utilities - highest[:, None])
    total = powers.sum(axis=1) + np.exp(-highest)
    likelihood = shares @ (picked @ weights - highest - np.log(total)) - ridge / 2 * weights @ weights
    return float(likelihood), powers / total[:, None]


def _stacked(tables: Sequence[Floats]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Pad the tables -> [choosers, most alternatives, features], and a mask [choosers, most alternatives]."""
    most = max(len(table) for table in tables)
    stacked = np.zeros((len(tables), most, tables[0].shape[1]))
    there = np.zeros(stacked.shape[:2], bool)
    for row, table in enumerate(tables):
        stacked[row, : len(table)], there[row, : len(table)] = table, True
    return stacked, there
