"""The kernels that NumPy's OpenBLAS computes with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from embedder import openblas

#: Read by OpenBLAS when NumPy is imported: the processor to compute for.
KERNEL = "OPENBLAS_CORETYPE"


def blas_kernel() -> str:
    """The processor that NumPy's OpenBLAS computes for in this process ("Haswell"); "unknown" if it can't tell."""
    return openblas.chosen() or "unknown"


def kernels() -> Iterator[str]:
    """For the processes started next: OpenBLAS's own choice, then the best kernel that this processor supports."""
    instructions = Path("/proc/cpuinfo").read_text().split()
    os.environ.pop(KERNEL, None)
    yield "chosen"
    if best := openblas.best(instructions):
        os.environ[KERNEL] = best
        yield "set"
