"""Validate a whole source before any of it is imported, so that no import is left half-done."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from catalog.errors import InvalidInputError, SkuAlikeError
from catalog.normalization import check_sku, sku_key
from catalog.products import Facts, check_facts
from catalog.progress import Progress, Steps, no_progress
from catalog.storage import Database, content_hash
from catalog.transfer import existing
from catalog.transfer.existing import Existing
from catalog.transfer.sources import Item, PhotoFile
from embedder import images
from embedder.barcodes import gtin
from embedder.errors import ImageError

#: Side, in pixels, requested of the decoder: a JPEG is read to its end, which finds damage, but decoded at an eighth of
#: its size. A phone's photo then takes 15 ms, not 84; to decode it and extract its features takes 160 (measured).
SIDE = 1
#: Facts in which two lines of one SKU may not contradict each other; an empty cell means not given.
AGREED = ("name", "brand", "category", "variant_group")


def validate(database: Database, items: Sequence[Item], progress: Progress = no_progress) -> list[str]:
    """All errors of a source, by line: facts, barcodes, contradictions, photos. Nothing is changed.

    Photos that the catalog has already are not decoded. `progress` counts photos. Raises what the database does.
    """
    errors: list[str] = []
    across = _Across()
    steps = Steps(progress, sum(len(item.photos) for item in items))
    with ThreadPoolExecutor(thread_name_prefix="check") as pool:
        for item, there in existing.with_existing(database, items):
            wrong = [*item.errors, *_facts(item), *_photos(item, there, pool)]
            if not wrong:
                wrong = list(across.contradictions(item, there))
            errors += [f"{item.source}: {message}" for message in wrong]
            steps.advance(len(item.photos))
    return errors


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


def _photos(item: Item, there: Existing, pool: ThreadPoolExecutor) -> Iterator[str]:
    try:
        has = there.photos.get(check_sku(item.facts.sku))
    except InvalidInputError:
        has = None
    if not item.photos and has is None:
        yield f"{item.facts.sku[:100] or 'The line'} has no photo."

    def error_of(photo: PhotoFile) -> str | None:
        try:
            data = photo.read_bytes()
            if content_hash(data) not in (has or {}):
                images.decode(data, want=SIDE)
        except (OSError, ValueError) as error:  # ValueError: no path has a null character
            return f"{photo}: {getattr(error, 'strerror', None) or error}"
        except ImageError as error:
            return f"{photo}: {error}"
        return None

    yield from filter(None, pool.map(error_of, item.photos))


class _Across:
    """Remembers the facts of valid lines, to find contradictions between lines."""

    def __init__(self) -> None:
        self._barcodes: dict[str, tuple[str, str]] = {}  # 14 digits -> SKU, line
        self._facts: dict[tuple[str, str], tuple[str, str]] = {}  # SKU, fact -> value, line
        self._skus: dict[str, tuple[str, str]] = {}  # key -> SKU, line
        self._active: dict[str, tuple[bool, str]] = {}

    def contradictions(self, item: Item, there: Existing) -> Iterator[str]:
        """How this line contradicts an earlier one, or the catalog."""
        facts = check_facts(item.facts)
        if facts.sku not in there.photos:  # an older catalog may have two such SKUs
            sku, line = self._skus.setdefault(sku_key(facts.sku), (facts.sku, item.source))
            if facts.sku in there.alike:
                yield str(SkuAlikeError(facts.sku, there.alike[facts.sku]))
            elif sku != facts.sku:
                yield f"The SKU {facts.sku!r} differs from {sku!r} only in capitals, width or blanks: {line}."
        for number in facts.barcodes:
            owner = there.owners.get(number, facts.sku)
            sku, line = self._barcodes.setdefault(number, (facts.sku, item.source))
            if owner != facts.sku:
                yield f"The barcode {gtin.printed_gtin(number)} belongs to the product {owner!r}."
            elif sku != facts.sku:
                yield f"The barcode {gtin.printed_gtin(number)} is that of {sku!r}, too: {line}."
        for name in AGREED:
            if not (getattr(item.facts, name) or "").strip():
                continue
            value = getattr(facts, name)
            said, line = self._facts.setdefault((facts.sku, name), (value, item.source))
            if said != value:
                yield f"The {name.replace('_', ' ')} of {facts.sku!r} is {value!r} here and {said!r} before: {line}."
        active, line = self._active.setdefault(facts.sku, (item.active, item.source))
        if active != item.active:
            yield f"{facts.sku!r} is active in one line and retired in another: {line}."
