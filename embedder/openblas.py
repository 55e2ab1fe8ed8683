"""What NumPy's OpenBLAS must be told before NumPy is imported, for a process that looks twice.

An OpenBLAS that is older than the processor may take it for one of 2004, and multiplies matrices two to four times
slower than it could: then it is told what the processor can do. And it gets one thread: photos are matched side by
side already, and its own threads on top of that only wait for each other.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
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


def restart_with_environment() -> None:
    """Start this program anew with these variables, unless it has them; where NumPy is imported it is too late.

    OpenBLAS reads them when it is loaded, and asking which processor it takes this one for loads it: so they can't be
    set within the process.
    """
    if "numpy" in sys.modules:
        return
    missing = {name: value for name, value in environment().items() if name not in os.environ}
    if missing:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **missing})  # noqa: S606 - no shell, the same program


def chosen() -> str | None:
    """The processor for which NumPy's OpenBLAS computes here; None where it can't be asked. NumPy is not imported."""
    numpy = importlib.util.find_spec("numpy")
    if numpy is None or numpy.origin is None:
        return None
    libraries = sorted((Path(numpy.origin).parents[1] / "numpy.libs").glob("*.so*"))
    # OpenBLAS wants libgfortran where NumPy brings it, and that libquadmath: each is found once it is loaded.
    for path in libraries * 2:
        with suppress(OSError):
            ctypes.CDLL(str(path))
    for path in (path for path in libraries if "openblas" in path.name):
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
