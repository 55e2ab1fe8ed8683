"""The self-test: does a bundle's model compute here as it did where it was exported, and does it tell photos apart?

Asked with drawn pictures. The bundle states how its own is drawn, in whole pixels, so that no version of a library and
no file can change it: {"width", "height", "ground": "#rrggbb", "rectangles": ["LEFT TOP RIGHT BOTTOM #rrggbb", ...]},
one rectangle over the other, RIGHT and BOTTOM outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor

from embedder import images
from embedder.bundle import VIEWS, Bundle, SelfTest
from embedder.errors import BundleError
from embedder.inference.litert import check_vectors, invoke, is_usable, load_model, open_interpreter
from embedder.matching import Vocabulary

#: The cosine with the stated vector that other machines have to reach. Of the released networks, TensorFlow's own
#: runtime reaches 1.0000 with each of its kernels, and pixels at edges that are off by one 0.9988; a picture two pixels
#: to the right has at most 0.9948, one whose red and blue are swapped 0.88 (benchmarks/self_test.py).
COSINE = 0.995
#: Digits after the point of a stated vector: more would be those of one processor.
DIGITS = 5
#: A network with at least this cosine between every two of the pictures maps everything to one point. The released ones
#: have at least 0.78 and 0.85, and at most 0.95.
ONE_POINT = 0.999
#: Pictures that are compared with one another.
PICTURES = 6
#: Sides in pixels, and rectangles: more than this is no picture of ours.
MAX_SIDE, MAX_RECTANGLES = 2048, 1000
#: Sides of the pictures drawn here, in pixels: neither is that of a network, and they are no square.
WIDTH, HEIGHT = 320, 240


def describe(seed: int) -> dict[str, Any]:
    """A picture by a seed, as it is stated: rectangles of many sizes and colors, which no library's drawing touches."""
    rng = np.random.default_rng(seed)
    rectangles = []
    for side in (200, 160, 120, 80, 60, 40, 40, 30, 30, 20, 20, 20):
        left, top = int(rng.integers(0, WIDTH - side // 2)), int(rng.integers(0, HEIGHT - side // 2))
        right, bottom = left + int(rng.integers(side // 2, side)), top + int(rng.integers(side // 2, side))
        rectangles.append(f"{left} {top} {min(right, WIDTH)} {min(bottom, HEIGHT)} {_color(rng)}")
    return {"width": WIDTH, "height": HEIGHT, "ground": _color(rng), "rectangles": rectangles}


def _color(rng: np.random.Generator) -> str:
    red, green, blue = rng.integers(0, 256, 3)
    return f"#{red:02x}{green:02x}{blue:02x}"


def draw(picture: Mapping[str, Any]) -> Image.Image:
    """The picture that is described. Raises BundleError for one that can't be drawn."""
    try:
        width, height = int(picture["width"]), int(picture["height"])
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and len(picture["rectangles"]) <= MAX_RECTANGLES):
            raise ValueError("it is empty, or far too large")
        pixels = np.empty((height, width, 3), np.uint8)
        pixels[:] = ImageColor.getrgb(picture["ground"])
        for rectangle in picture["rectangles"]:
            left, top, right, bottom, color = rectangle.split()
            pixels[int(top) : int(bottom), int(left) : int(right)] = ImageColor.getrgb(color)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"The picture of the bundle's self-test can't be drawn: {error!r}.") from error
    return Image.fromarray(pixels)


def record(model: bytes, size: int, views: Sequence[str] = VIEWS) -> SelfTest:
    """The self-test of a model (the bytes of its file), as this machine answers it."""
    picture = describe(0)
    vector = _embed(load_model(model_content=model), picture, size, views)
    return SelfTest(picture, tuple(round(float(number), DIGITS) for number in vector), COSINE)


def check_self_test(bundle: Bundle, interpreter: Any) -> float | None:
    """The cosine of this machine's vector with the stated one; None for a bundle without a self-test.

    Raises BundleError when it is less than the bundle states.
    """
    if (stated := bundle.self_test) is None:
        return None
    expected = np.array(stated.vector, np.float64)
    found = _embed(interpreter, stated.picture, bundle.size, bundle.views)
    cosine = float(found @ expected / np.linalg.norm(expected))
    if not cosine >= stated.cosine:
        raise BundleError(
            f"The bundle {bundle.id} fails its self-test: the vector of its picture has a cosine of {cosine:.4f} with "
            f"the one that it states, not {stated.cosine:g}. Its model was changed, or computes another way here."
        )
    return cosine


def check_model(bundle: Bundle) -> float | None:
    """Load all that serving loads, and ask the model; returns what `check_self_test` does.

    Raises BundleError when model or words can't be loaded or are not as the bundle states, when vectors are not
    finite, when all pictures get the same one, and when the self-test fails.
    """
    interpreter = open_interpreter(bundle)
    check_vectors(bundle, interpreter)
    vectors = np.stack([_embed(interpreter, describe(seed), bundle.size, bundle.views) for seed in range(PICTURES)])
    if not is_usable(vectors):
        raise BundleError(f"The bundle {bundle.id} gives vectors that are not finite for some pictures.")
    if (least := float((vectors @ vectors.T).min())) >= ONE_POINT:
        raise BundleError(
            f"The bundle {bundle.id} maps everything to one point: pictures that have nothing in common get vectors "
            f"with a cosine of {least:.5f}. Its training collapsed."
        )
    if bundle.words_path is not None:
        Vocabulary.load(bundle.words_path)
    return check_self_test(bundle, interpreter)


def _embed(interpreter: Any, picture: Mapping[str, Any], size: int, views: Sequence[str]) -> npt.NDArray[np.float32]:
    """float32 [dim], of unit length, as Embedder makes it; NaN where the model gives no direction."""
    drawn = draw(picture)
    try:
        vectors = [invoke(interpreter, images.view(drawn, size, name)) for name in views]
    except ValueError as error:  # no such view
        raise BundleError(f"The bundle can't be asked: {error}.") from error
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.mean([vector / np.linalg.norm(vector) for vector in vectors], axis=0)
        embedded: npt.NDArray[np.float32] = mean / np.linalg.norm(mean)
    return embedded
