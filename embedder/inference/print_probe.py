"""The print test: whether what a photo shows has print at all, told from its vector before any local feature is found.

Loose fruit has none, and a second look, which matches print, costs most of a photo's time. A linear probe (Alain and
Bengio 2016, "Understanding intermediate layers using linear classifier probes") on the vector costs nothing: what a
network has learned of packs and fruit lies there. A measure of the pixels does not do: leaves, stalks and peel have as
many edges and corners as print.

The probe is of one network, whatever is calibrated on top of it, so it is a file beside the model and no part of the
bundle's id: with it or without, vectors, words and weights are the same, and an installed catalog's gallery stays
valid. `benchmarks/print_probe.py` fits it.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedder.bundle import RELEASED, Bundle

Vectors = npt.NDArray[np.float32]

#: The file in a bundle's folder.
FILE = "print.npz"
#: Ridge penalty of the fit, on the weights of vectors of unit length.
RIDGE = 1e-4
#: Newton's method: it converges in about ten steps.
STEPS = 30
#: A photo lacks print when its score is above that of all but this share of the photos with print that were fitted.
MISSED = 0.0005


@dataclass(frozen=True, eq=False)
class PrintProbe:
    """`weights` float32 [dim]; a vector's score is its product with them, and above `threshold` there is no print.

    `model` is the SHA-256 of the model whose vectors it is fitted on.
    """

    weights: Vectors
    threshold: float
    model: str

    def lacks_print(self, vector: Vectors) -> bool:
        """A photo's vector, float32 [dim] -> whether a second look for print would be in vain."""
        return bool(vector @ self.weights > self.threshold)

    def write(self, bundle: Path) -> None:
        """Put the probe into a bundle's folder."""
        np.savez(bundle / FILE, weights=self.weights, threshold=self.threshold, model=self.model)


def model_hash(bundle: Bundle) -> str:
    """SHA-256 of a bundle's model."""
    with bundle.model_path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(bundle: Bundle) -> PrintProbe | None:
    """The probe of a bundle's model, of its own folder or of the released one (a catalog keeps a copy of its bundle
    that may be older than the probe); None when neither has one: then every photo may have print.
    """
    for folder in (bundle.path, RELEASED):
        try:
            with np.load(folder / FILE, allow_pickle=False) as stored:
                probe = PrintProbe(stored["weights"], float(stored["threshold"]), str(stored["model"]))
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
            continue
        if probe.weights.shape == (bundle.dim,) and probe.model == model_hash(bundle):
            return probe
    return None


def fit(*, plain: Vectors, printed: Vectors, model: str) -> PrintProbe:
    """Vectors [n, dim] of photos without print, and with: logistic regression, each side with half of the weight."""
    rows = np.vstack([plain, printed]).astype(np.float64)
    rows = np.hstack([rows, np.ones((len(rows), 1))])
    sides = np.repeat([1.0, 0.0], [len(plain), len(printed)])
    shares = np.repeat([0.5 / len(plain), 0.5 / len(printed)], [len(plain), len(printed)])
    penalty = np.full(rows.shape[1], RIDGE)
    penalty[-1] = 0
    found = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        chances = 1 / (1 + np.exp(-rows @ found))
        slope = rows.T @ (shares * (chances - sides)) + penalty * found
        curve = (rows * (shares * chances * (1 - chances))[:, np.newaxis]).T @ rows + np.diag(penalty)
        found -= np.linalg.solve(curve, slope)
    weights = found[:-1].astype(np.float32)
    return PrintProbe(weights, float(np.quantile(printed @ weights, 1 - MISSED)), model)
