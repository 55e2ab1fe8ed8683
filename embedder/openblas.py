"""What NumPy's OpenBLAS must be told before NumPy is imported, for a process that looks twice.

An OpenBLAS that is older than the processor may take it for one of 2004, and multiplies matrices two to four times
slower than it could: then it is told what the processor can do. And it gets one thread: photos are matched side by
side already, and its own threads on top of that only wait for each other.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterable
from pathlib import Path

#: What OpenBLAS takes a processor for that it does not know.
UNKNOWN = "Prescott"
#: What it knows, and the instructions that each needs; the best first.
KNOWN = {
    "SkylakeX": {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"},
    "Haswell": {"avx2", "fma"},
}


def environment() -> dict[str, str]:
    """Variables for a process that is started next; what a person has set goes before them."""
    found = {"OPENBLAS_NUM_THREADS": "1"}
    if chosen() == UNKNOWN and (better := best(_instructions())):
        found["OPENBLAS_CORETYPE"] = better
    return found


def chosen() -> str | None:
    """The processor for which NumPy's OpenBLAS computes here; None where it can't be asked. NumPy is not imported."""
    numpy = importlib.util.find_spec("numpy")
    if numpy is None or numpy.origin is None:
        return None
    for path in sorted((Path(numpy.origin).parents[1] / "numpy.libs").glob("*openblas*")):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:  # it wants another library that only NumPy loads
            continue
        for name in ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename"):
            if asked := getattr(library, name, None):
                asked.restype = ctypes.c_char_p
                return str(asked().decode())
    return None


def best(instructions: Iterable[str]) -> str | None:
    """What a processor of these instructions can be taken for; None when for nothing better than the oldest."""
    able = set(instructions)
    return next((name for name, needed in KNOWN.items() if needed <= able), None)


def _instructions() -> list[str]:
    """Of this processor, as Linux names them; none elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
