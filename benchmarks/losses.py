"""Losses compared with one budget: accuracy on SKUs that were trained on, and on held-out SKUs.

`.venv/bin/python benchmarks/losses.py DATA --weights ARRAYS.npz [--out FOLDER] [--schedule 96:6]`

DATA contains grocery-store/ (train, val). 16 SKUs are held out of every training, chosen with the seed. Same network
(EfficientNet-Lite0), same batches, same steps; only the loss differs. Prints a Markdown table. Each training has its
work folder below --out: after a kill, the same command resumes, and finished trainings are only evaluated.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from embedder import datasets, evaluation
from embedder.datasets import split_references
from embedder.evaluation import protocols
from embedder.inference import Embedder

SEED = "1"
#: Name in the table -> options of `embedder train`.
LOSSES = {
    "batch-hard, soft margin (the paper's)": [],
    "batch-hard, margin 0.3": ["--hard-margin", "--margin", "0.3"],
    "batch-hard, soft margin, L2": ["--distance", "L2"],
    "batch-hard, soft margin, angular": ["--distance", "angular"],
    "semi-hard, margin 0.3": ["--loss", "semi-hard", "--margin", "0.3"],
    "offline mining, soft margin": ["--mine-every", "34", "--mine-photos", "1024"],
    "softmax with cross-entropy": ["--loss", "cross-entropy"],
    "batch-hard + cosine softmax": ["--softmax", "1"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("losses"))
    parser.add_argument("--schedule", default="96:6")
    parser.add_argument("--left-out", default="16")
    options = parser.parse_args()
    grocery = options.data / "grocery-store"
    gallery, queries = datasets.find_photos(grocery / "train"), datasets.find_photos(grocery / "val")
    print("| loss | val, SKUs trained on | AUROC | SKUs left out, 1 reference | 3 references | AUROC |")
    print("|---|---|---|---|---|---|", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    for number, (name, extra) in enumerate(LOSSES.items()):
        out = options.out / str(number)
        if not (out / "bundle.json").is_file():
            train(grocery / "train", out, options, extra)
        embedder = Embedder.open(out)
        left = set(embedder.bundle.training["left_out"])
        trained = {sku: paths for sku, paths in queries.items() if sku not in left}
        seen = evaluation.evaluate_protocol(embedder, protocols.Protocol(gallery, trained, ""))
        both = {sku: paths + queries.get(sku, []) for sku, paths in gallery.items() if sku in left}
        one, three = (
            evaluation.evaluate_protocol(embedder, protocols.Protocol(*split_references(both, count), "")).figures
            for count in (1, 3)
        )
        assert seen.figures.rejection and three.rejection
        shares = (seen.figures.top1, seen.figures.rejection.auroc, one.top1, three.top1, three.rejection.auroc)
        print(f"| {name} | " + " | ".join(f"{share:.3f}" for share in shares) + " |", flush=True)


def train(photos: Path, out: Path, options: argparse.Namespace, extra: list[str]) -> None:
    work = out.with_name(f"{out.name}.work")
    command = [str(Path(sys.executable).with_name("embedder")), "train", str(photos), "--out", str(out)]
    command += ["--work", str(work), "--backbone", "efficientnetlite0", "--weights", str(options.weights)]
    command += ["--schedule", options.schedule, "--leave-out", options.left_out, "--lr", "5e-4", "--average", "0.99"]
    command += ["--seed", SEED, *extra, *(["--resume"] if (work / "config.json").is_file() else [])]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
