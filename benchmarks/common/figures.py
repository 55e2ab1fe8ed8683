"""The figures that benchmarks write to docs/measurements-*.json."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any


def load(name: str) -> dict[str, Any]:
    """Read docs/measurements-NAME.json; empty before the first run."""
    path = _figures(name)
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def save(name: str, figures: dict[str, Any], part: str | None = None) -> None:
    """Write figures to docs/measurements-NAME.json. With `part`, replace that part only and keep the others."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    others = load(name) if part else {}
    everything = {**others, "machine": machine, **({part: figures} if part else figures)}
    _figures(name).write_text(json.dumps(everything, indent=2) + "\n")


def _figures(name: str) -> Path:
    return Path(__file__).parents[2] / "docs" / f"measurements-{name}.json"
