"""Robustness of the second look to changes of the query: real photos under the conditions of common/conditions.py.

`.venv/bin/python benchmarks/robust.py DATA [--covers 40] [--condition NAME ...] [--keypoints 600] [--side 320]
[--reference-side 240] [--spread CELL MOST]`

DATA contains dvd-covers/ and grocery-store/val/. Each cover has one query photo, from another camera from cover to
cover, unchanged and under each condition; the references are the catalog pictures of all covers, one each. For each
condition: the share of photos whose right reference has the most inliers (top-1), its inliers (median and 10th
percentile), the most inliers of a wrong reference (95th percentile of the photos), and the error of the outline's
corners as a fraction of its diagonal (mean of the four; median and 90th percentile of the photos; no outline counts as
1), with the same for the affine transform alone. Prints a Markdown table.

Options that were tried and are not used in embedder/: another number of keypoints of the query, other sides, and
keypoints that are spread over the query, where a square of CELL pixels gives MOST of its strongest before any more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common.conditions import CONDITIONS, Places, beside, mapped
from common.covers import read_covers
from PIL import Image

from embedder import datasets, images
from embedder.matching import QUERY, REFERENCE, Agreement, LocalFeatures, verify_many
from embedder.matching.local_features import DetectorSettings, detect

#: Both packs of one photo must have more inliers than any other.
TWO = "two in one photo, both first"


Answers = list[tuple[int, Places]]


def spread(found: LocalFeatures, cell: int, most: int, count: int) -> LocalFeatures:
    """The strongest local features; each square of the picture gives at most its quota before any gives more."""
    held: dict[tuple[int, ...], int] = {}
    late = []
    for square in map(tuple, (found.points[:, :2] // cell).astype(int).tolist()):
        held[square] = held.get(square, 0) + 1
        late.append(held[square] > most)
    order = np.sort(np.argsort(late, kind="stable")[:count])
    return LocalFeatures(found.points[order], found.descriptors[order], found.width, found.height)


def astray(corners: Places, right: Places, query: LocalFeatures) -> float:
    """Corners [4, 2], relative to the photo: mean distance from the right ones, as a fraction of the diagonal."""
    size = (query.width, query.height)
    diagonal = np.hypot(*((right[2] - right[0]) * size))
    return float(np.hypot(*((corners - right) * size).T).mean() / diagonal)


def affine_outline(match: Agreement, query: LocalFeatures, reference: LocalFeatures) -> Places:
    width, height = reference.width, reference.height
    corners = np.array([(0, 0, 1), (width, 0, 1), (width, height, 1), (0, height, 1)])
    return corners @ match.transform.T / (query.width, query.height)


def row(name: str, queries: list[tuple[LocalFeatures, Answers]], references: list[LocalFeatures]) -> str:
    """Queries, each with its right references and their corners (relative to the photo) -> a row of the table."""
    first, inliers, wrong, off, affine = [], [], [], [], []
    for query, answers in queries:
        matches = verify_many(query, references)
        right = [matches[place].inliers for place, _ in answers]
        others = set(range(len(matches))) - {place for place, _ in answers}
        wrong.append(max(matches[place].inliers for place in others))
        first.append(min(right) > wrong[-1])
        inliers += right
        for place, corners in answers:
            match = matches[place]
            bare = match.outline is None
            off.append(1.0 if bare else astray(match.outline, corners, query))
            affine.append(1.0 if bare else astray(affine_outline(match, query, references[place]), corners, query))
    cells = [f"{np.median(errors):.3f}, {np.percentile(errors, 90):.3f}" for errors in (off, affine)]
    return (
        f"| {name} | {np.mean(first):.3f} | {np.median(inliers):.0f}, {np.percentile(inliers, 10):.0f} "
        f"| {np.percentile(wrong, 95):.0f} | " + " | ".join(cells) + " |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--covers", type=int, default=40)
    parser.add_argument("--condition", action="append", choices=[*CONDITIONS, TWO])
    parser.add_argument("--keypoints", type=int, default=QUERY.count)
    parser.add_argument("--side", type=int, default=QUERY.side)
    parser.add_argument("--reference-side", type=int, default=REFERENCE.side)
    parser.add_argument("--spread", type=int, nargs=2, metavar=("CELL", "MOST"))
    options = parser.parse_args()
    covers = read_covers(options.data / "dvd-covers", options.covers)
    others = datasets.find_photos(options.data / "grocery-store" / "val" / "Packages")
    grounds = [images.decode(paths[0].read_bytes()) for paths in others.values()]
    closely = DetectorSettings(options.reference_side, REFERENCE.count)
    references = [detect(cover.reference, closely) for cover in covers]

    def look(photo: Image.Image) -> LocalFeatures:
        if options.spread is None:
            return detect(photo, DetectorSettings(options.side, options.keypoints))
        many = detect(photo, DetectorSettings(options.side, 4 * options.keypoints))
        return spread(many, *options.spread, options.keypoints)

    def ask(name: str, place: int) -> tuple[LocalFeatures, Answers]:
        cover = covers[place]
        if name == TWO:
            other = (place + 1) % len(covers)
            seen, *maps = beside(cover.photo, covers[other].photo)
            answers = zip((place, other), maps, strict=True)
        else:
            seen, by = CONDITIONS[name](cover.photo, cover.pack, grounds[place % len(grounds)])
            answers = iter([(place, by)])
        return look(seen), [(one, mapped(covers[one].picture, by) / seen.size) for one, by in answers]

    print("| condition | right first | its inliers | most of a wrong one | outline off by | by the affine map alone |")
    print("|---|---|---|---|---|---|")
    for name in options.condition or [*CONDITIONS, TWO]:
        print(row(name, [ask(name, place) for place in range(len(covers))], references), flush=True)


if __name__ == "__main__":
    main()
