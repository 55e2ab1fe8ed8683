"""Knowledge distillation: a student learns to match the vectors of a trained teacher (Hinton et al. 2015).

The teacher embeds the same pixels as the student, mixed photos included (Beyer et al. 2022, "A good teacher is patient
and consistent"). Teach a smaller network by a better bundle, or a training by its own initial weights: it forgets less.
Imports TensorFlow (extra `train`) for a teacher given by its arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from embedder import bundle
from embedder.errors import WeightsError
from embedder.inference import Embedder, Vectors
from embedder.networks import backbones, embedding_network, weights

#: Photos as float32 [n, size, size, 3], RGB 0..255 -> the teacher's vectors, float32 [n, dim], unit length.
Teacher = Callable[[Any], Vectors]


def open_teacher(source: str, backbone: str, dim: int, seed: int) -> Teacher:
    """`source`: a bundle's folder, `released` (the one that ships), or an .npz of arrays for `backbone`, whose pooled
    features are projected to `dim` as in a student initialized by that seed.

    Raises BundleError or WeightsError when it can't be loaded, WeightsError when a bundle's vectors are not `dim` long.
    """
    path = bundle.RELEASED if source == "released" else Path(source)
    if path.is_dir():
        return _bundle_teacher(path, dim)
    if not path.is_file():
        raise WeightsError(f"--teacher {source}: no bundle's folder, no file of arrays (.npz).")
    try:
        network = embedding_network.build_embedder(backbones.build_backbone(backbone, source), "pooled", dim, seed=seed)
    except WeightsError as error:
        raise WeightsError(str(error).replace("--weights", "--teacher")) from error
    weights.load_head(network, path)
    look = tf.function(lambda pixels: network(pixels, training=False), reduce_retracing=True)

    def vectors(pixels: Any) -> Vectors:
        found: Vectors = look(tf.constant(pixels)).numpy()
        return found

    return vectors


def _bundle_teacher(path: Path, dim: int) -> Teacher:
    embedder = Embedder.open(path)
    size = embedder.bundle.size
    if embedder.bundle.dim != dim:
        raise WeightsError(f"--teacher {path}: its vectors have {embedder.bundle.dim} numbers, --dim asks for {dim}.")

    def vectors(pixels: Any) -> Vectors:
        photos = [np.clip(one + 0.5, 0, 255).astype(np.uint8) for one in pixels]
        if pixels.shape[1] != size:
            photos = [np.asarray(cv2.resize(one, (size, size), interpolation=cv2.INTER_LINEAR)) for one in photos]
        return embedder.embed(photos)

    return vectors
