"""How well a bundle recognizes: a gallery of reference photos, queries, and every figure of the results table."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedder import degrade, images, measures
from embedder.bundle import Thresholds, load_bundle
from embedder.errors import DataError, ImageError
from embedder.measures import sku_scores as sku_scores  # as: others take these two from here
from embedder.measures import top_shares as top_shares
from embedder.serve import Embedder, Vectors
from embedder.splits import Photos, set_name, split_references, split_share

#: Reference photos of each SKU that recall is measured by, beside all of them.
REFERENCES = (1, 3, 8)
#: Share of known products that must be accepted where false accepts are counted.
TRUE_ACCEPTS = 0.95
#: Pairs of SKUs that are listed as confused, at most.
PAIRS = 20


@dataclass(frozen=True)
class Embedded:
    """Photos, embedded. vectors: float32 [n, dim]; skus, paths: n each; broken: a line an unusable photo."""

    vectors: Vectors
    skus: list[str]
    broken: list[str]
    seconds: float
    paths: tuple[Path, ...] = ()


def embed_folder(embedder: Embedder, *folders: Path) -> Embedded:
    """Embed every photo below the folders. Raises DataError when there is none that can be used."""
    return embed_photos(embedder, _found(*folders))


def embed_photos(embedder: Embedder, photos: Photos) -> Embedded:
    """Embed photos by SKU. Raises DataError when there is none that can be used."""
    began = time.perf_counter()
    owner = {path: sku for sku, paths in photos.items() for path in paths}
    vectors: list[Vectors] = []
    paths: list[Path] = []
    broken: list[str] = []
    for path, result in embedder.embed_files(owner):
        if isinstance(result, ImageError):
            broken.append(f"{path}: {result}")
        else:
            vectors.append(result)
            paths.append(path)
    if not vectors:
        raise DataError(f"No usable photo. {broken[0] if broken else ''}".strip())
    seconds = time.perf_counter() - began
    return Embedded(np.stack(vectors), [owner[path] for path in paths], broken, seconds, tuple(paths))


def _found(*folders: Path) -> Photos:
    if not (photos := images.find_photos(*folders)):
        raise DataError(f"No usable photo below {', '.join(map(str, folders))}.")
    return photos


@dataclass(frozen=True)
class Protocol:
    """Which photos are the gallery (known) and which ask, and a line for people that says so."""

    known: Photos
    asked: Photos
    says: str


def two_sets(gallery: Path, queries: Path, skus: Path | None = None) -> Protocol:
    """One set is enrolled, another asks; each a folder or a split file. `skus` narrows both (see narrow).

    Raises DataError.
    """
    known, asked = _found(gallery), _found(queries)
    if skus is not None:
        kept = set(narrow({**known, **asked}, skus))
        known, asked = ({s: p for s, p in photos.items() if s in kept} for photos in (known, asked))
    return Protocol(known, asked, f"{set_name(gallery)} enrolled, {set_name(queries)} asks{_of(skus)}")


def share_aside(folder: Path, share: float, seed: int, skus: Path | None = None) -> Protocol:
    """One set: about `share` of each SKU's photos ask, drawn by the seed, the rest are enrolled. Raises DataError."""
    known, asked = split_share(narrow(_found(folder), skus), share, seed)
    says = f"{set_name(folder)}, {1 - share:.0%} of each SKU enrolled, {share:.0%} ask (seed {seed})"
    return Protocol(known, asked, says + _of(skus))


def few_references(folder: Path, references: int, skus: Path | None = None) -> Protocol:
    """One set: so many photos of each SKU are enrolled, spread over the names; the rest ask. Raises DataError."""
    known, asked = split_references(narrow(_found(folder), skus), references)
    if not asked:
        raise DataError(f"No SKU of {folder} has more than {references} photos: none is left to ask by.")
    return Protocol(known, asked, f"{set_name(folder)}, {references} of each SKU enrolled, the rest ask{_of(skus)}")


def narrow(photos: Photos, skus: Path | None) -> Photos:
    """The photos of those SKUs alone that a text file names, one a line, or that a bundle's training left out.

    None leaves all. A training leaves SKUs out of several sets, so those that this one does not hold are passed over;
    a file names what is wanted. Raises DataError when a file names a SKU that is not there, or nothing is left.
    """
    if skus is None:
        return photos
    if skus.is_dir():
        named = set(load_bundle(skus).training.get("left_out", ())) & set(photos)
        if not named:
            raise DataError(f"The training of {skus} left none of these SKUs out.")
    else:
        named = {line.strip() for line in skus.read_text(encoding="utf-8").splitlines()} - {""}
        if not named:
            raise DataError(f"{skus} names no SKU.")
        if strange := sorted(named - set(photos)):
            raise DataError(f"{skus} names {strange[0]!r}, which the photos do not hold.")
    return {sku: paths for sku, paths in photos.items() if sku in named}


def _of(skus: Path | None) -> str:
    return "" if skus is None else f"; only the SKUs of {set_name(skus)}"


@dataclass(frozen=True)
class Recall:
    """top1, top5 with so many reference photos of each SKU (None: all), evenly spread over the names."""

    references: int | None
    photos: int
    top1: float
    top5: float


@dataclass(frozen=True)
class Confused:
    """Queries of `true` answered `answered`: how many, the one that scored highest, and the photo it was taken for."""

    true: str
    answered: str
    count: int
    query: str
    photo: str


@dataclass(frozen=True)
class Rejection:
    """How far apart known products' scores are from unknown ones' (see Figures), whatever the thresholds.

    auroc (measures.auroc) and false_accepts (measures.false_accepts at `true_accepts`) by the best SKU's cosine alone;
    `_margin`: by that cosine plus its margin over the second SKU's.
    """

    auroc: float
    auroc_margin: float
    true_accepts: float
    false_accepts: float
    false_accepts_margin: float


@dataclass(frozen=True)
class Decided:
    """Answers at the bundle's thresholds: `known` is None when no query's SKU is in the gallery."""

    score: float
    margin: float
    known: measures.Shares | None
    unknown: measures.Shares


@dataclass(frozen=True)
class Figures:
    """The results table.

    A SKU's score is the cosine of the query to the best of its photos; the SKUs in the order of their scores are the
    answer. A query is known when the gallery holds its SKU; every query is unknown when it is asked again with its SKU
    taken out of the gallery.

    top1, top5: share of all queries (those whose SKU the gallery lacks, too) answered right in the first k SKUs.
    top1_degraded, top5_degraded: the same for the queries after degrade.degrade, the gallery as it was; None when it
    was not asked for.
    mean_average_precision: over gallery photos, see measures.mean_average_precision; None without a known query.
    recall_by_references: top1 and top5 with 1, 3 and 8 photos of each SKU, as far as any SKU has more, and with all.
    per_sku: the worst first; share = right / queries, and a SKU that the gallery lacks has none right.
    confused: wrong answers to known queries by pair of SKUs, the most frequent first, at most PAIRS.
    rejection, decided: None when the gallery has fewer than three SKUs (none would be second with one taken out);
    rejection is None without a known query, too.
    seconds_gallery, seconds_queries: embedding on all cores, and for the queries the search.
    milliseconds_embedding: a photo's share of the time that embedding took, reading and decoding included, on all
    cores side by side. milliseconds_search: a query's share of the search, one matrix product with the whole gallery.
    broken: a line for each photo that could not be used.
    """

    top1: float
    top5: float
    queries: int
    gallery: int
    skus: int
    queries_without_sku: int
    seconds_gallery: float
    seconds_queries: float
    bundle: str
    broken: list[str]
    protocol: str
    milliseconds_embedding: float
    milliseconds_search: float
    mean_average_precision: float | None
    recall_by_references: list[Recall]
    per_sku: list[measures.SkuAccuracy]
    confused: list[Confused]
    rejection: Rejection | None
    decided: Decided | None
    top1_degraded: float | None
    top5_degraded: float | None

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Evaluation:
    """The figures, and what a report draws beside them.

    known_scores, unknown_scores: best cosine of each known and each unknown query, float32; empty where Figures.decided
    is None. `sample` is a query photo, `seed` the one that it is degraded by.
    """

    figures: Figures
    known_scores: measures.Floats
    unknown_scores: measures.Floats
    sample: Path
    seed: int


def evaluate(embedder: Embedder, gallery: Path, queries: Path) -> Figures:
    """Enroll the photos below `gallery`, recognize those below `queries`; folders name the SKUs. Raises DataError."""
    return run(embedder, two_sets(gallery, queries)).figures


def run(embedder: Embedder, protocol: Protocol, *, degraded: bool = False, seed: int = 1) -> Evaluation:
    """Embed both sides of a protocol and take every figure; `degraded` embeds the queries a second time.

    `seed` draws the noise of the degraded photos. Raises DataError when a side has no usable photo.
    """
    known, asked = embed_photos(embedder, protocol.known), embed_photos(embedder, protocol.asked)
    began = time.perf_counter()
    scores, names = sku_scores(asked.vectors, known.vectors, known.skus)
    top1, top5 = top_shares(scores, names, asked.skus)
    searching = time.perf_counter() - began
    column = {name: place for place, name in enumerate(names)}
    own = np.array([column.get(sku, -1) for sku in asked.skus])
    worse = _degraded(embedder, known, asked, seed) if degraded else (None, None)
    rejection, decided, known_scores, unknown_scores = _unknown(scores, own, embedder.bundle.thresholds)
    figures = Figures(
        top1=top1,
        top5=top5,
        queries=len(asked.skus),
        gallery=len(known.skus),
        skus=len(names),
        queries_without_sku=int((own < 0).sum()),
        seconds_gallery=known.seconds,
        seconds_queries=asked.seconds + searching,
        bundle=embedder.bundle.id,
        broken=known.broken + asked.broken,
        protocol=protocol.says,
        milliseconds_embedding=1000 * (known.seconds + asked.seconds) / (len(known.skus) + len(asked.skus)),
        milliseconds_search=1000 * searching / len(asked.skus),
        mean_average_precision=measures.mean_average_precision(asked.vectors, asked.skus, known.vectors, known.skus),
        recall_by_references=[*_recalls(known, asked), Recall(None, len(known.skus), top1, top5)],
        per_sku=measures.per_sku(asked.skus, [names[place] for place in scores.argmax(axis=1)]),
        confused=_confused(known, asked, scores, names, np.flatnonzero(own >= 0)),
        rejection=rejection,
        decided=decided,
        top1_degraded=worse[0],
        top5_degraded=worse[1],
    )
    return Evaluation(figures, known_scores, unknown_scores, asked.paths[0], seed)


def _degraded(embedder: Embedder, known: Embedded, asked: Embedded, seed: int) -> tuple[float, float]:
    def embed(path: Path) -> Vectors:
        return embedder.embed_bytes(degrade.degrade(path.read_bytes(), seed))

    scores, names = sku_scores(np.stack(list(embedder.map(embed, asked.paths))), known.vectors, known.skus)
    return top_shares(scores, names, asked.skus)


def _recalls(known: Embedded, asked: Embedded) -> Iterable[Recall]:
    photos: Photos = {}
    for path, sku in zip(known.paths, known.skus, strict=True):
        photos.setdefault(sku, []).append(path)
    most = max(len(paths) for paths in photos.values())
    for references in REFERENCES:
        if references >= most:
            return
        chosen = {path for paths in split_references(photos, references)[0].values() for path in paths}
        rows = [row for row, path in enumerate(known.paths) if path in chosen]
        scores, names = sku_scores(asked.vectors, known.vectors[rows], [known.skus[row] for row in rows])
        yield Recall(references, len(rows), *top_shares(scores, names, asked.skus))


def _confused(
    known: Embedded, asked: Embedded, scores: measures.Floats, names: list[str], rows: npt.NDArray[np.intp]
) -> list[Confused]:
    """The most confused pairs among the queries in these rows."""
    answered = [names[place] for place in scores[rows].argmax(axis=1)]
    pairs = measures.confusions([asked.skus[row] for row in rows], answered, scores[rows].max(axis=1, initial=-1.0))
    found: list[Confused] = []
    for true, answer, count, place in pairs[:PAIRS]:
        row = rows[place]
        photos = [i for i, sku in enumerate(known.skus) if sku == answer]
        best = photos[int((known.vectors[photos] @ asked.vectors[row]).argmax())]
        found.append(Confused(true, answer, count, str(asked.paths[row]), str(known.paths[best])))
    return found


def _unknown(
    scores: measures.Floats, own: npt.NDArray[np.intp], thresholds: Thresholds
) -> tuple[Rejection | None, Decided | None, measures.Floats, measures.Floats]:
    """Scores [queries, skus] and each query's own column (-1: none) -> known against unknown, and both's scores."""
    none = np.empty(0, np.float32)
    if scores.shape[1] < 3:
        return None, None, none, none
    limits = {"score": thresholds.score, "margin": thresholds.margin}
    unknown = measures.answer(measures.take_out(scores, own))
    refused = measures.decisions(unknown, np.full(len(own), -1), **limits)
    rows = np.flatnonzero(own >= 0)
    if not len(rows):
        return None, Decided(**limits, known=None, unknown=refused), none, unknown.score
    known = measures.answer(scores[rows])
    both, both_out = known.score + known.margin, unknown.score + unknown.margin
    rejection = Rejection(
        auroc=measures.auroc(known.score, unknown.score),
        auroc_margin=measures.auroc(both, both_out),
        true_accepts=TRUE_ACCEPTS,
        false_accepts=measures.false_accepts(known.score, unknown.score, TRUE_ACCEPTS),
        false_accepts_margin=measures.false_accepts(both, both_out, TRUE_ACCEPTS),
    )
    decided = Decided(**limits, known=measures.decisions(known, own[rows], **limits), unknown=refused)
    return rejection, decided, known.score, unknown.score
