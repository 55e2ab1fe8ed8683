"""The LiteRT runtime: open an interpreter and validate its model."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from embedder.bundle import Bundle
from embedder.errors import BundleError

_announcing = threading.Lock()
_announced = False


@contextmanager
def _no_announcement() -> Iterator[None]:
    """Suppress LiteRT's `INFO: Created TensorFlow Lite XNNPACK delegate for CPU.` on stderr; all else is passed on.

    The runtime logs it once, when the first interpreter of a process allocates its tensors (15 ms), and neither an
    environment variable nor a call controls that logger: so the file descriptor is redirected, that once.
    """
    global _announced
    with _announcing:
        if _announced:
            quiet = None
        else:
            _announced = True
            try:
                quiet = os.dup(2)
            except OSError:  # a daemon without stderr
                quiet = None
        if quiet is None:
            yield
            return
        with tempfile.TemporaryFile() as aside:
            os.dup2(aside.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(quiet, 2)
                os.close(quiet)
                aside.seek(0)
                for line in aside:
                    if b"Created TensorFlow Lite XNNPACK delegate" not in line:
                        os.write(2, line)


def load_model(**model: Any) -> Any:
    """A single-threaded LiteRT interpreter of a `model_path` or `model_content`. Raises ValueError or RuntimeError."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(**model, num_threads=1)
    with _no_announcement():
        interpreter.allocate_tensors()
    return interpreter


def open_interpreter(bundle: Bundle) -> Any:
    """A single-threaded LiteRT interpreter of the bundle's model.

    Raises BundleError when the file is no LiteRT model, or its shapes are not those that the bundle states.
    """
    try:
        interpreter = load_model(model_path=str(bundle.model_path))
    except TypeError as error:  # a path with bytes that are no UTF-8 is no text to LiteRT
        raise BundleError(f"The path {bundle.model_path} is not in UTF-8, so its model can't be loaded.") from error
    except (ValueError, RuntimeError) as error:
        raise BundleError(f"{bundle.model_path} is no LiteRT model that this runtime can load: {error}") from error
    photo, vector = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    expected = ([1, bundle.size, bundle.size, 3], [1, bundle.dim])
    if (photo["shape"].tolist(), vector["shape"].tolist()) != expected or photo["dtype"] is not np.uint8:
        raise BundleError(f"{bundle.model_path} takes {photo['shape']} and gives {vector['shape']}, not {expected}.")
    logging.getLogger(__name__).debug("opened an interpreter of %s", bundle.id)
    return interpreter


def check_vectors(bundle: Bundle, interpreter: Any) -> None:
    """Raises BundleError when a photo's vector is not finite, or 0: then the weights are not, and no photo's is."""
    if not is_usable(probe(interpreter)):
        raise BundleError(
            f"The bundle {bundle.id} gives vectors that are not finite: its training diverged, or it is damaged."
        )


def probe(interpreter: Any) -> Any:
    """The vector of a drawn photo, float32 [dim], not yet of unit length."""
    photo = interpreter.get_input_details()[0]
    return invoke(interpreter, np.random.default_rng(0).integers(0, 256, photo["shape"][1:], np.uint8))


def invoke(interpreter: Any, pixels: Any) -> Any:
    """uint8 [size, size, 3] -> float32 [dim], not yet of unit length."""
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[np.newaxis])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]


def is_usable(vector: Any) -> bool:
    """Whether a vector [dim] has a direction: finite, and not 0."""
    return bool(np.isfinite(vector).all() and np.any(vector))
