from __future__ import annotations

import os
import subprocess
import sys

import pytest

from embedder import openblas

ASK = "import numpy; from embedder import openblas; print(openblas.chosen())"


def test_the_best_that_a_processor_can_do_is_named() -> None:
    half = {"avx2", "fma"}
    whole = half | {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"}
    assert openblas.best(whole) == "SkylakeX"
    assert openblas.best(half | {"avx512f"}) == "Haswell"  # one of the first with AVX-512 lacks the rest
    assert openblas.best({"sse2", "avx"}) is None
    assert openblas.best([]) is None


def test_only_a_processor_that_openblas_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openblas, "_instructions", lambda: ["avx2", "fma"])
    monkeypatch.setattr(openblas, "chosen", lambda: "Zen")
    assert openblas.environment() == {"OPENBLAS_NUM_THREADS": "1"}
    monkeypatch.setattr(openblas, "chosen", lambda: "Prescott")
    assert openblas.environment() == {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}
    monkeypatch.setattr(openblas, "chosen", lambda: None)
    assert "OPENBLAS_CORETYPE" not in openblas.environment()


def test_numpys_openblas_takes_the_name() -> None:
    if openblas.chosen() is None or openblas.best(openblas._instructions()) is None:
        pytest.skip("NumPy's OpenBLAS can't be asked here, or the processor is an old one")
    wanted = openblas.best(openblas._instructions())
    environment = {**os.environ, "OPENBLAS_CORETYPE": str(wanted)}
    told = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == wanted


@pytest.mark.parametrize(("said", "expected"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_a_program_starts_anew_with_its_variables(said: dict[str, str], expected: str) -> None:
    script = (
        "import os, sys; from embedder import openblas; openblas.restart_with_environment(); "
        "print(os.environ['OPENBLAS_NUM_THREADS'], 'numpy' in sys.modules, sys.argv[1], sys.stdin.read())"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")} | said
    command = [sys.executable, "-c", script, "an argument"]
    told = subprocess.run(command, env=environment, input="typed", capture_output=True, text=True, check=True)
    assert told.stdout == f"{expected} False an argument typed\n"


def test_where_numpy_is_imported_it_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "execve", lambda *arguments: pytest.fail("started anew"))
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    openblas.restart_with_environment()
