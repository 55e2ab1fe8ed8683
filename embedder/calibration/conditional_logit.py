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
    tables: Sequence[Floats], chosen: Sequence[int], shares: Floats, ridge: float = 1e-3
) -> Floats:
    """Features [alternatives, features] of each chooser, and the alternative chosen (-1: none) -> weights [features].

    `shares` [choosers] weight the choosers and sum to 1. `ridge` is the L2 penalty on the weights of standardized
    features: where few choosers are informative, no weight diverges.
    """
    table, there = _stacked(tables)
    spread = table[there].std(axis=0)
    spread[spread == 0] = 1.0
    table = table / spread
    pick = np.asarray(chosen)
    some = pick >= 0
    picked = np.zeros((len(tables), table.shape[2]))
    picked[some] = table[some, pick[some]]
    weights: Floats = np.zeros(table.shape[2])
    value, chances = _value(weights, table, there, picked, shares, ridge)
    for _ in range(STEPS):
        mean = np.einsum("nm,nmf->nf", chances, table)
        slope = shares @ (picked - mean) - ridge * weights
        second = np.einsum("n,nm,nmf,nmg->fg", shares, chances, table, table, optimize=True)
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
    original: Floats = weights / spread
    return original


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
