"""Weight files (.npz): the initial weights of a training, and the weights that it exports."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from embedder.bundle import RELEASED
from embedder.errors import WeightsError

Keras = Any  # TensorFlow 2.15 ships no types

#: The weights of the released bundle, beside it: the best initial weights for a retailer's own training.
START_FILE = "start.npz"
#: The Dense layer's arrays in an .npz.
HEAD_ARRAYS = ("embedding/kernel", "embedding/bias")


def arrays_path(weights: str) -> Path | None:
    """The .npz that initial weights are read from; None for ``imagenet`` and ``none``."""
    if weights in ("imagenet", "none"):
        return None
    return RELEASED / START_FILE if weights == "released" else Path(weights)


def load_arrays(network: Keras, path: Path) -> None:
    """Set a network's weights from an .npz: arrays named as Keras names them, or `a0`, `a1`, ... in Keras's order.

    Raises WeightsError when the file is unreadable or an array is missing or of another shape.
    """
    if not path.is_file():
        raise WeightsError(f"--weights {path}: no such file. Give an .npz of arrays, 'imagenet' or 'none'.")
    try:
        with zipfile.ZipFile(path):  # np.load accepts other files, too, and returns something else than an archive
            pass
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name].astype(np.float32) for name in stored.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(f"--weights {path}: not an .npz of arrays ({error}).") from error
    # The Normalization layer counts its mean, variance and count as weights; the builder sets them, no file has them.
    targets = [w for w in network.weights if not w.name.startswith("normalization")]
    arrays = {name: array for name, array in arrays.items() if name not in HEAD_ARRAYS}
    in_order = set(arrays) == {f"a{i}" for i in range(len(arrays))}
    if in_order and len(arrays) != len(targets):
        raise WeightsError(f"--weights {path}: {len(arrays)} arrays, the network has {len(targets)}.")
    for index, target in enumerate(targets):
        key = f"a{index}" if in_order else target.name.removesuffix(":0")
        if key not in arrays:
            raise WeightsError(f"--weights {path}: no array {key!r}; it is not made for this backbone.")
        if arrays[key].shape != tuple(target.shape):
            raise WeightsError(f"--weights {path}: {key} is {arrays[key].shape}, not {tuple(target.shape)}.")
        target.assign(arrays[key])


def load_head(network: Keras, path: Path) -> bool:
    """Set the Dense layer of an embedder from the .npz of its backbone; False if the file holds none that fits.

    A file without a head is no error: weights of a backbone alone are valid initial weights.
    """
    dense = network.get_layer("embedding")
    with np.load(path, allow_pickle=False) as stored:
        arrays = [stored[name] for name in HEAD_ARRAYS if name in stored.files]
    if [array.shape for array in arrays] != [tuple(weight.shape) for weight in dense.weights]:
        return False
    dense.set_weights([array.astype(np.float32) for array in arrays])
    return True


def save_arrays(network: Keras, path: Path) -> None:
    """Write an embedder's arrays, including the Dense layer's, for `load_arrays` and `load_head` (float16)."""
    kept = {w.name.removesuffix(":0"): w.numpy() for w in network.weights if not w.name.startswith("normalization")}
    # Float32 for batch-norm statistics, which may exceed float16's range; they are few.
    arrays = {
        name: array.astype(np.float32 if name.endswith(("variance", "mean")) else np.float16)
        for name, array in kept.items()
    }
    np.savez_compressed(path, **arrays)
