"""Preview of an import: what each line would do, and all that is wrong with it. Nothing is changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from catalog.errors import InvalidInputError
from catalog.normalization import check_sku
from catalog.products import FactChange, Facts, check_facts, differences, given_facts
from catalog.progress import Progress, Steps, no_progress
from catalog.right_of_way import in_background, mark_background, piece
from catalog.storage import Database, content_hash
from catalog.transfer import existing
from catalog.transfer.contradictions import Across
from catalog.transfer.existing import Existing
from catalog.transfer.sources import AGREED, Item, PhotoFile
from embedder import images
from embedder.errors import ImageError

#: Side, in pixels, requested of the decoder: a JPEG is read to its end, which finds damage, but decoded at an eighth of
#: its size. A phone's photo then takes 15 ms, not 84; to decode it and extract its features takes 160 (measured).
SIDE = 1
#: The change by which a list retires a product.
RETIRED = ("active", "no")
#: The snapshot of a product without any facts.
NOTHING = {**dict.fromkeys(AGREED, ""), "labels": [], "attributes": {}, "barcodes": [], "active": True}


@dataclass(frozen=True)
class Line:
    """What an import would do with an item: `changes` to the facts of its product (of a new one, what it gets), and
    `photos` to add to it.

    `state`: new, changed (its product is there, and this differs from it), unchanged, or wrong, with `errors`.
    """

    source: str
    sku: str
    state: Literal["new", "changed", "unchanged", "wrong"]
    changes: tuple[FactChange, ...] = ()
    photos: int = 0
    errors: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For people, on one line."""
        if self.errors:
            return " ".join(self.errors)
        facts = (f"{change.field}: {change.new}" if self.state == "new" else str(change) for change in self.changes)
        said = [*facts, *([f"+{self.photos} photos"] if self.photos else [])]
        return f"{self.sku}: {self.state}{': ' if said else ''}{'; '.join(said)}"


def preview(database: Database, items: Sequence[Item], progress: Progress = no_progress) -> Iterator[Line]:
    """What an import with update would do, item by item, and all errors: facts, barcodes, contradictions, photos.

    Photos that the catalog has already are not decoded. `progress` is as in `import_items`. Raises what
    the database does.
    """
    across = Across()
    steps = Steps(progress, sum(len(item.photos) or 1 for item in items))
    pool = reading_pool("check", None)
    try:
        for item, there in existing.with_existing(database, items):
            has = _photos_of(item, there)
            photos = _Photos(has or {})
            wrong = [*item.errors, *_facts(item)]
            if not item.photos and has is None:
                wrong.append(f"{item.facts.sku[:100] or 'The line'} has no photo.")
            for error in pool.map(photos.error_of, item.photos):
                wrong += [error] if error else []
                steps.advance()
            if not wrong:
                wrong = list(across.contradictions(item, there))
            yield _line(item, there, photos, wrong)
            steps.advance(0 if item.photos else 1)
    finally:
        pool.shutdown(cancel_futures=True)


def reading_pool(name: str, threads: int | None) -> ThreadPoolExecutor:
    """Threads that read photos; one for work of the background, which is of the background, too."""
    if not in_background():
        return ThreadPoolExecutor(threads, thread_name_prefix=name)
    return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=mark_background)


def ignored(changes: Iterable[FactChange]) -> list[FactChange]:
    """The changes that an import without update does not make: all but new barcodes, and the product's end."""
    return [change for change in changes if change.field != "barcode" and (change.field, change.new) != RETIRED]


def _line(item: Item, there: Existing, photos: _Photos, wrong: Sequence[str]) -> Line:
    if wrong:
        return Line(item.source, item.facts.sku, "wrong", errors=tuple(wrong))
    facts = given_facts(item.facts)
    if facts.sku not in there.products:
        return Line(item.source, facts.sku, "new", differences(NOTHING, facts, None), len(photos.new))
    changes = differences(there.products[facts.sku], facts, item.active)
    state: Literal["changed", "unchanged"] = "changed" if changes or photos.new else "unchanged"
    return Line(item.source, facts.sku, state, changes, len(photos.new))


def _photos_of(item: Item, there: Existing) -> Mapping[str, bool] | None:
    try:
        return there.photos.get(check_sku(item.facts.sku))
    except InvalidInputError:
        return None


class _Photos:
    """Reads the photos of one item, in several threads; `has`: those of its product. `new`: the others' SHA-256."""

    def __init__(self, has: Mapping[str, bool]) -> None:
        self._has = has
        self.new: set[str] = set()

    def error_of(self, photo: PhotoFile) -> str | None:
        """Why a photo can't be used."""
        try:
            with piece():
                data = photo.read_bytes()
                if (sha256 := content_hash(data)) not in self._has:
                    images.decode(data, want=SIDE)
                    self.new.add(sha256)
        except (OSError, ValueError) as error:  # ValueError: no path has a null character
            return f"{photo}: {getattr(error, 'strerror', None) or error}"
        except ImageError as error:
            return f"{photo}: {error}"
        return None


def _facts(item: Item) -> Iterator[str]:
    facts = item.facts
    # One fact at a time, so that all errors are reported and not only the first.
    single = [Facts(facts.sku), *(Facts("x", barcodes=(number,)) for number in facts.barcodes)]
    others = (field.name for field in dataclasses.fields(facts) if field.name not in ("sku", "barcodes"))
    single += [dataclasses.replace(Facts("x"), **{name: getattr(facts, name)}) for name in others]
    wrong = []
    for fact in single:
        try:
            check_facts(fact)
        except InvalidInputError as error:
            wrong.append(str(error))
    if not wrong:
        try:
            check_facts(facts)  # errors of the facts in combination
        except InvalidInputError as error:
            wrong.append(str(error))
    yield from wrong
