"""Photos in wide-gamut color spaces: how many of those that are matched in sRGB are matched in each of them, too.

`.venv/bin/python benchmarks/color_profiles.py DATA`

DATA contains dvd-covers/ and grocery-store/. Of the covers `reference.jpg` is enrolled in a catalog (SQLite, Edge), and
the photos of four cameras, 800 px wide, are asked; of the groceries eight train photos of each SKU are enrolled, and
the val photos are asked. They are asked in sRGB and converted to Display P3, Adobe RGB and ProPhoto RGB, with the
profile in the file, as a camera or an editor writes them. "profile ignored": the same file without its profile, as a
decoder sees it that takes the numbers for sRGB. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parents[1]))  # for tests/

from common.photo_sets import cover_photos, flat
from PIL import Image, ImageCms

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.recognition import recognize
from embedder import datasets
from embedder.datasets import Photos
from tests.support.profiles import icc_profile

WIDTH, QUALITY, REFERENCES = 800, 92, 8
SPACES = {"p3": "Display P3", "adobe": "Adobe RGB", "prophoto": "ProPhoto RGB"}


def shot(path: Path) -> Image.Image:
    picture = Image.open(path).convert("RGB")
    return picture.resize((WIDTH, round(picture.height * WIDTH / picture.width))) if picture.width > WIDTH else picture


def written(picture: Image.Image, space: str = "", *, profile: bool = True) -> bytes:
    """An sRGB picture as a JPEG in the numbers of a color space."""
    data, options = io.BytesIO(), {}
    if space:
        own = icc_profile(space)
        to = ImageCms.ImageCmsProfile(io.BytesIO(own))
        converted = ImageCms.profileToProfile(picture, ImageCms.createProfile("sRGB"), to, outputMode="RGB")
        assert converted is not None
        picture, options = converted, {"icc_profile": own} if profile else {}
    picture.save(data, "JPEG", quality=QUALITY, **options)
    return data.getvalue()


def measure(name: str, references: Photos, queries: Photos) -> None:
    """Print the rows of one set."""
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog.open(Settings.from_env({"CATALOG_DATA": folder}))
        catalog.generations.ready()
        for sku, paths in references.items():
            new = [NewPhoto(path.name, path.read_bytes()) for path in paths]
            products.create(catalog, Facts(sku, sku), new, Intake("benchmark", check="off"))
        asked = [(sku, shot(path)) for sku, path in zip(*flat(queries), strict=True)]

        def matched(space: str, *, profile: bool = True) -> tuple[set[int], int]:
            """The photos that are matched right, and how many are matched wrong."""
            answers = [recognize(catalog, written(picture, space, profile=profile)) for _, picture in asked]
            matches = {n: answer.matches[0].sku for n, answer in enumerate(answers) if answer.decision == "match"}
            right = {n for n, sku in matches.items() if sku == asked[n][0]}
            return right, len(matches) - len(right)

        plain, wrong = matched("")
        print(f"| {name}, sRGB | {len(plain)} of {len(asked)} | {wrong} | | |", flush=True)
        for space, spoken in SPACES.items():
            right, wrong = matched(space)
            numbers, _ = matched(space, profile=False)
            kept, ignored = (f"{len(some & plain)} of {len(plain)}" for some in (right, numbers))
            print(f"| {name}, {spoken} | {len(right)} of {len(asked)} | {wrong} | {kept} | {ignored} |", flush=True)
        catalog.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    print("| photos | matched correctly | wrong | of those matched in sRGB | profile ignored: of the same |")
    print("|---|---|---|---|---|")
    train = datasets.find_photos(data / "grocery-store" / "train")
    few = {sku: sorted(paths)[:: max(1, len(paths) // REFERENCES)][:REFERENCES] for sku, paths in train.items()}
    measure("groceries", few, datasets.find_photos(data / "grocery-store" / "val"))
    measure("covers", *cover_photos(data))


if __name__ == "__main__":
    main()
