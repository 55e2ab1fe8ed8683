"""What tests of trainings share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from embedder.training.epoch_log import read_log


def arguments(settings: dict[str, Any]) -> list[str]:
    """The settings of a training as `embedder train` takes them."""
    words = list(settings["data"])
    for key, value in settings.items():
        if key == "schedule":
            words += ["--schedule", ",".join(f"{size}:{epochs}" for size, epochs in value)]
        elif key != "data":
            words += [f"--{key}", str(value)]
    return words


def losses(work: Path) -> dict[int, float]:
    return {entry["epoch"]: entry["loss"] for entry in read_log(work)}
