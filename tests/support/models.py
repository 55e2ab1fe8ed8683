"""Bundles that are not what they should be, made of the ones that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from embedder.bundle import RELEASED, Bundle, BundleParts, load_bundle, write_bundle
from embedder.inference import self_test

#: The smaller one of those that ship: it has no visual words.
SHIPPED = load_bundle(RELEASED.with_name("released-mobilenetv3large"))


def made(path: Path, model: bytes | None = None, **changes: Any) -> Bundle:
    """A bundle of the shipped model (unless another is given), whose hashes fit."""
    facts: dict[str, Any] = {"name": "made", "version": "1", "dim": SHIPPED.dim, "size": SHIPPED.size, **changes}
    return write_bundle(path, BundleParts(SHIPPED.model_path.read_bytes() if model is None else model, **facts))


def with_self_test(path: Path, **changes: Any) -> Bundle:
    """A bundle with a self-test, as `embedder export` writes it."""
    return made(path, self_test=self_test.record(SHIPPED.model_path.read_bytes(), SHIPPED.size), **changes)


def spoiled(weight: bytes) -> bytes:
    """The shipped model, some of whose weights are this float16."""
    model = bytearray(SHIPPED.model_path.read_bytes())
    middle = len(model) // 2 // 16 * 16
    model[middle : middle + 4096] = weight * 2048
    return bytes(model)


def blind() -> bytes:
    """The shipped model, whose first layer sees nothing: whatever it is shown, its vector is the same."""
    model = bytearray(SHIPPED.model_path.read_bytes())
    graph = schema.Model.GetRootAs(model, 0)
    network = graph.Subgraphs(0)
    for number in range(network.TensorsLength()):
        tensor = network.Tensors(number)
        if tensor.ShapeLength() == 4 and tensor.Shape(3) == 3:
            weights = graph.Buffers(tensor.Buffer())
            if weights.DataLength():
                weights.DataAsNumpy()[:] = 0
    return bytes(model)
