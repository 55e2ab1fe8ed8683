"""Training configuration, as stored in the work folder, the bundle and TOML files."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedder.errors import DataError

CONFIG_FILE = "config.json"
#: Names in networks.backbones.BACKBONES, repeated because the command's help must not import TensorFlow.
BACKBONES = (
    "mobilenetv3large",
    "mobilenetv3small",
    "mobilenetv2",
    "efficientnetlite0",
    "efficientnetb0",
    "efficientnetv2b0",
    "vgg16",
)
LOSSES = ("batch-hard", "semi-hard", "cross-entropy")
#: `mixed`: float16 where that is safe, else float32; `auto`: mixed where there is a GPU.
PRECISIONS = ("auto", "float32", "mixed")
DISTANCES = ("L2", "squared-L2", "angular")


@dataclass(frozen=True)
class TrainConfig:
    """The settings of one training; `embedder train --help` says what each does.

    `schedule` holds (size in pixels, epochs) stages; the last stage's size is the one served unless `serve_size` says
    otherwise. `left_out` names held-out SKUs, `split` is the held-out share of every other SKU's photos: both are for
    validation. In the first `freeze` epochs only the head is trained. `loss` (losses.py) is computed from `distance`;
    `soft` applies to batch-hard alone, and `margin` also separates easy from semi-hard triplets in the log. With
    `mine_every` above 0 the triplets are not the batch's, but mined offline among `mine_photos` photos every
    `mine_every` steps. `softmax` and `teaching` weight the cosine softmax and the distillation beside the loss (0:
    triplet alone, the paper); `mix` is the share of steps with photos mixed in pairs, which triplet losses can't use.
    """

    data: tuple[str, ...]
    backbone: str = "mobilenetv3large"
    weights: str = "imagenet"
    head: str = "pooled"
    dim: int = 256
    schedule: tuple[tuple[int, int], ...] = ((224, 50),)
    serve_size: int | None = None
    p: int = 16
    k: int = 4
    balance: float = 0.0
    split: float = 0.0
    left_out: tuple[str, ...] = ()
    freeze: int = 0
    lr: float = 1e-4
    loss: str = "batch-hard"
    distance: str = "squared-L2"
    margin: float = 1.0
    soft: bool = True
    mine_every: int = 0
    mine_photos: int = 1000
    softmax: float = 0.0
    mix: float = 0.0
    teacher: str | None = None
    teaching: float = 0.0
    average: float = 0.998
    precision: str = "auto"
    seed: int = 1

    @property
    def size(self) -> int:
        """Side of the bundle's input, in pixels."""
        return self.serve_size or self.schedule[-1][0]

    def check(self) -> None:
        """Raises DataError for settings that exclude each other, and for one that is no number."""
        for name, value in asdict(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise DataError(f"--{name} {value:g}: it is a finite number.")
        for name, value, known in (("loss", self.loss, LOSSES), ("distance", self.distance, DISTANCES)):
            if value not in known:
                raise DataError(f"--{name} {value}: it is one of {', '.join(known)}.")
        if self.margin < 0:
            raise DataError(f"--margin {self.margin:g}: it can't be below 0.")
        if self.mix > 0 and self.softmax <= 0 and self.teaching <= 0 and self.loss != "cross-entropy":
            raise DataError("Mixed photos have two SKUs: only --softmax or a --teacher can learn from them.")
        if self.mine_every > 0:
            self._check_mining()
        if self.freeze != 0:
            self._check_freezing()
        if self.head == "flatten" and {size for size, _ in self.schedule} != {self.size}:
            raise DataError("The flatten head takes photos of one size: give --schedule a single size, and serve it.")
        if (self.teacher is None) != (self.teaching <= 0):
            raise DataError("A --teacher is heard only with --teaching above 0, and that needs a --teacher.")

    def _check_mining(self) -> None:
        if self.loss != "batch-hard":
            raise DataError(f"--mine-every picks hard triplets: it goes with --loss batch-hard, not {self.loss}.")
        if self.balance > 0:
            raise DataError("--mine-every chooses the photos by itself: it goes without --balance.")
        if self.mine_photos < self.p * self.k:
            raise DataError(f"--mine-photos {self.mine_photos}: a batch alone has {self.p * self.k} photos.")

    def _check_freezing(self) -> None:
        epochs = sum(epochs for _, epochs in self.schedule)
        # All epochs frozen is a linear probe, and allowed; more can only be a mistake.
        if not 0 <= self.freeze <= epochs:
            raise DataError(f"--freeze {self.freeze}: the --schedule has {epochs} epochs to freeze.")
        if self.weights == "none":
            raise DataError("--freeze keeps what the backbone knows: with --weights none it knows nothing.")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Inverse of `dataclasses.asdict` after a round trip through JSON.

        Raises KeyError or TypeError when keys are missing or unknown.
        """
        values = {**values, "data": tuple(values["data"]), "schedule": tuple(map(tuple, values["schedule"]))}
        return cls(**{**values, "left_out": tuple(values.get("left_out", ()))})


def read_config(work: Path) -> TrainConfig:
    """Read the configuration of a work folder. Raises DataError when there is none that this version can read."""
    try:
        return TrainConfig.from_dict(json.loads((work / CONFIG_FILE).read_text()))
    except FileNotFoundError:
        raise DataError(f"{work} holds no training: it has no {CONFIG_FILE}.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{work}/{CONFIG_FILE} holds no settings that this version reads ({error!r}).") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of `embedder train` options (`serve-size` or `serve_size`) -> values by Python name.

    Raises DataError when it is not valid TOML.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no TOML file: {error}.") from error
    return {key.replace("-", "_"): value for key, value in values.items()}
