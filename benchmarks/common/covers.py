"""Real query photos with known answer and position: one photo of each flat pack in the shared set dvd-covers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from embedder import images

from .conditions import Places

#: Positions of the packs, as fractions of the photo's width and height, clockwise from the top left: the corners of the
#: catalog picture, and of the pack in it without the white background. Found with a homography of some 2,500 keypoints
#: of the photos at full size (USAC_MAGSAC), each checked by eye; the cameras alternate.
CORNERS = Path(__file__).with_name("covers.json")


@dataclass(frozen=True)
class Cover:
    """A pack: its catalog picture, a photo of it, and the picture's and the pack's corners there, in pixels."""

    name: str
    reference: Image.Image
    photo: Image.Image
    picture: Places
    pack: Places


def read_covers(folder: Path, count: int) -> list[Cover]:
    """The first packs of the folder dvd-covers."""
    covers = []
    for key, corners in list(json.loads(CORNERS.read_text()).items())[:count]:
        name, _, camera = key.partition("/")
        photo = images.decode((folder / name / f"{camera}.jpg").read_bytes())
        reference = images.decode((folder / name / "reference.jpg").read_bytes())
        picture, pack = (np.array(corners[what]) * photo.size for what in ("picture", "pack"))
        covers.append(Cover(name, reference, photo, picture, pack))
    return covers
