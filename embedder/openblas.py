"""Environment variables for NumPy's OpenBLAS, to be set before NumPy is imported by a process that re-ranks.

An OpenBLAS older than the processor may detect it as one of 2004, and then multiplies matrices two to four times
slower: OPENBLAS_CORETYPE names a better match. OpenBLAS also gets a single thread: photos are matched in parallel
already, and threads of its own on top would only wait for each other.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

#: The core type that OpenBLAS falls back to for a processor that it does not know.
UNKNOWN = "Prescott"
#: Core types that it knows, best first, with the instruction sets (flags of /proc/cpuinfo) that each needs.
KNOWN = {
    "SkylakeX": {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"},
    "Haswell": {"avx2", "fma"},
}


def environment() -> dict[str, str]:
    """Variables for a process to be started; those that the user has set take precedence."""
    found = {"OPENBLAS_NUM_THREADS": "1"}
    if chosen() == UNKNOWN and (better := best(_instructions())):
        found["OPENBLAS_CORETYPE"] = better
    return found


def restart_with_environment() -> None:
    """Re-execute this program with these variables, unless they are set or NumPy is imported already (too late).

    OpenBLAS reads them when it is loaded, and asking it for its core type loads it: so they can't be set from within
    the process.
    """
    if "numpy" in sys.modules:
        return
    missing = {name: value for name, value in environment().items() if name not in os.environ}
    if missing:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **missing})  # noqa: S606 - no shell, the same program


def chosen() -> str | None:
    """The core type that NumPy's OpenBLAS detects here; None where it can't be asked. Does not import NumPy."""
    numpy = importlib.util.find_spec("numpy")
    if numpy is None or numpy.origin is None:
        return None
    libraries = sorted((Path(numpy.origin).parents[1] / "numpy.libs").glob("*.so*"))
    # OpenBLAS needs libgfortran where NumPy ships it, which needs libquadmath: two passes, each is found once loaded.
    for path in libraries * 2:
        with suppress(OSError):
            ctypes.CDLL(str(path))
    for path in (path for path in libraries if "openblas" in path.name):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:  # it needs another library that only NumPy loads
            continue
        for name in ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename"):
            if asked := getattr(library, name, None):
                asked.restype = ctypes.c_char_p
                return str(asked().decode())
    return None


def best(instructions: Iterable[str]) -> str | None:
    """The best core type for a processor with these instruction sets; None when only the fallback fits."""
    able = set(instructions)
    return next((name for name, needed in KNOWN.items() if needed <= able), None)


def _instructions() -> list[str]:
    """Instruction sets of this processor, as Linux names them; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
