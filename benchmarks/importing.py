"""Photos per second of `catalog import`, of its validation, and of a repeated import.

`.venv/bin/python benchmarks/importing.py DIR [--most 4]`

From each SKU in DIR at most so many photos are imported into an empty catalog (SQLite, Edge), by the command in its own
process: first with OpenBLAS as it is on a processor that it does not know, then as embedder.openblas configures it,
then again, when all photos are already imported. Wall-clock and CPU seconds (which other programs disturb less). Last,
the cost of checking a photo, and of extracting its features.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from embedder import datasets, images
from embedder.bundle import RELEASED
from embedder.inference import Embedder


def run(name: str, source: Path, photos: int, env: dict[str, str]) -> None:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "catalog", "import", str(source), "--quiet"]
    subprocess.run(command, env={**os.environ, **env}, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"| {name} | {photos / seconds:.1f} | {seconds:.1f} | {used:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--most", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        taken = [path for paths in datasets.find_photos(arguments.dir).values() for path in paths[: arguments.most]]
        for path in taken:
            (root / "in" / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / "in" / path.parent.name)
        print("| | photos/s | s | s of the processor |\n|---|---|---|---|")
        plain = {"OPENBLAS_NUM_THREADS": str(os.cpu_count()), "OPENBLAS_CORETYPE": "Prescott"}
        run("OpenBLAS not told", root / "in", len(taken), {**plain, "CATALOG_DATA": str(root / "first")})
        run("told", root / "in", len(taken), {"CATALOG_DATA": str(root / "second")})
        run("again", root / "in", len(taken), {"CATALOG_DATA": str(root / "second")})
        embedder = Embedder.open(RELEASED)
        data = [path.read_bytes() for path in taken[:50]]
        for name, call in (("check", lambda raw: images.decode(raw, want=1)), ("look", embedder.extract_reference)):
            began = time.process_time()
            for raw in data:
                call(raw)
            print(f"{name}: {(time.process_time() - began) / len(data) * 1000:.1f} ms of the processor a photo")


if __name__ == "__main__":
    main()
