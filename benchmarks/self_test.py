"""What a bundle's self-test notices: the cosine with this machine's vector when something is computed another way.

    .venv/bin/python benchmarks/self_test.py

Prints a Markdown table: the same model by TensorFlow's own runtime (where the extra `train` is installed), and pictures
that reach the network a little, or badly, wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from embedder import images
from embedder.bundle import RELEASED, Bundle, load_bundle
from embedder.inference import litert, self_test

Pixels = npt.NDArray[np.uint8]


def edges_off_by_one(pixels: Pixels) -> Pixels:
    """As by another library's rounding: where neighbors differ, each value is one more or less, or the same."""
    values = pixels.astype(int)
    edges = np.abs(np.diff(values, axis=1, prepend=values[:, :1])).sum(axis=2, keepdims=True) > 0
    off = np.random.default_rng(1).integers(-1, 2, values.shape)
    return np.clip(values + edges * off, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "pixels at edges off by one": edges_off_by_one,
    "two pixels to the right": lambda pixels: np.roll(pixels, 2, axis=1),
    "mirrored": lambda pixels: pixels[:, ::-1],
    "red and blue swapped": lambda pixels: pixels[:, :, ::-1],
    "half as bright": lambda pixels: pixels // 2,
}


def vector_of(interpreter: Any, bundle: Bundle, seed: int, change: Callable[[Pixels], Pixels]) -> Any:
    """float32 [dim], of unit length: the mean of the views, each changed."""
    picture = self_test.draw(self_test.describe(seed))
    views = [change(images.view(picture, bundle.size, name)) for name in bundle.views]
    vectors = [litert.invoke(interpreter, np.ascontiguousarray(view)) for view in views]
    mean = np.mean([vector / np.linalg.norm(vector) for vector in vectors], axis=0)
    return mean / np.linalg.norm(mean)


def other_runtimes(bundle: Bundle) -> Iterator[tuple[str, Any]]:
    """TensorFlow's interpreter with each of its sets of kernels."""
    try:
        import tensorflow as tf
    except ModuleNotFoundError:
        return
    for name in ("AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN_REF"):
        kernels = getattr(tf.lite.experimental.OpResolverType, name)
        interpreter = tf.lite.Interpreter(
            model_path=str(bundle.model_path), experimental_op_resolver_type=kernels, num_threads=1
        )
        interpreter.allocate_tensors()
        yield f"TensorFlow, {name}", interpreter


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=3, help="drawn pictures, whose least cosine is printed")
    pictures = range(parser.parse_args().pictures)
    print("| bundle | computed by, or changed | cosine |\n|---|---|---|")
    for path in (RELEASED, RELEASED.with_name("released-mobilenetv3large")):
        bundle = load_bundle(path)
        own = litert.open_interpreter(bundle)
        stated = [vector_of(own, bundle, seed, lambda pixels: pixels) for seed in pictures]
        asked = [(name, interpreter, lambda pixels: pixels) for name, interpreter in other_runtimes(bundle)]
        asked += [(name, own, change) for name, change in CHANGES.items()]
        for name, interpreter, change in asked:
            least = min(vector_of(interpreter, bundle, seed, change) @ stated[seed] for seed in pictures)
            print(f"| {bundle.name} | {name} | {least:.4f} |")


if __name__ == "__main__":
    main()
