"""What a till shows its cashier of each match: facts of the product, and what tells look-alikes apart."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from sqlalchemy import ScalarSelect, bindparam, exists, select

from catalog.normalization import plain
from catalog.recognition.answer import Recognition
from catalog.recognition.candidates import Match
from catalog.recognition.facts import Difference, Differs, KnownProduct
from catalog.storage import Database
from catalog.storage.tables import Barcode, Photo, Product
from embedder.matching import LocalFeatures

#: Places of details that a match says, at most.
PLACES = 20
#: Facts that are compared, in this order, after the words of the name.
COMPARED = ("brand", "category", "variant_group")
#: What stands before the name of an attribute among other facts, as in lists of products.
ATTRIBUTE = "attribute:"


def _cover() -> ScalarSelect[uuid.UUID]:
    """In a query of products: the id of the photo that is shown first."""
    photo = select(Photo.id).where(Photo.product_id == Product.id)
    in_order = photo.order_by(Photo.cover.desc(), Photo.created_at, Photo.id)
    return in_order.limit(1).correlate(Product).scalar_subquery()


# Built once: that takes as long as to run them, and every answer needs one.
_FACTS = (
    select(Product.sku, Product.brand, Product.category, Product.variant_group, Product.attributes, Barcode.gtin)
    .outerjoin(Barcode, Barcode.product_id == Product.id)
    .where(Product.sku.in_(bindparam("skus", expanding=True)))
    .order_by(Barcode.gtin)
)
_FACTS_AND_COVER = _FACTS.add_columns(Photo.id, Photo.sha256).outerjoin(Photo, Photo.id == _cover())


def describe(database: Database, answer: Recognition) -> Recognition:
    """The answer with the facts of its matches, in one statement; an ambiguous one with what tells them apart."""
    if not answer.matches:
        return answer
    products, covers = _look_up(database, answer.matches)
    matches = [replace(match, product=products.get(match.sku, match.product)) for match in answer.matches]
    matches = [match if match.photo else _shown_by(match, covers) for match in matches]
    if answer.decision == "ambiguous" and len(matches) > 1:
        others = [matches[1], *[matches[0]] * (len(matches) - 1)]
        matches = [
            replace(match, differs=_differs(match, other, answer.details))
            for match, other in zip(matches, others, strict=True)
        ]
    return replace(answer, matches=matches)


def is_reference(database: Database, sha256: str) -> bool:
    """Whether a photo (SHA-256) is now a reference photo of a product of the catalog."""
    if not plain(sha256):  # what can't be stored is no photo, and PostgreSQL takes no such text
        return False
    with database.read() as session:
        return bool(session.scalar(select(exists().where(Photo.sha256 == sha256))))


def _look_up(
    database: Database, matches: Sequence[Match]
) -> tuple[dict[str, KnownProduct], dict[str, tuple[uuid.UUID, str]]]:
    """By SKU the facts of the products; and where a match has no photo, id and SHA-256 of each product's first one."""
    query = _FACTS if all(match.photo for match in matches) else _FACTS_AND_COVER
    with database.read() as session:
        rows = session.execute(query, {"skus": [match.sku for match in matches]}).all()
    products: dict[str, KnownProduct] = {}
    covers: dict[str, tuple[uuid.UUID, str]] = {}
    for sku, brand, category, group, attributes, gtin, *photo in rows:
        before = products[sku].barcodes if sku in products else ()
        products[sku] = KnownProduct(brand, category, group, (*before, gtin) if gtin else before, attributes)
        if photo and photo[0]:
            covers[sku] = photo[0], photo[1]
    return products, covers


def _shown_by(match: Match, covers: Mapping[str, tuple[uuid.UUID, str]]) -> Match:
    """A match by barcode alone rests on no photo: it is shown by the product's first one, if there is any."""
    identity, sha256 = covers.get(match.sku, (None, ""))
    return replace(match, photo=sha256, photo_id=identity)


def _differs(match: Match, other: Match, query: LocalFeatures | None) -> Differs:
    """How a match differs from another one: in its facts, and where the photo agrees with this one alone."""
    return Differs(other.sku, tuple(_differences(match, other)), _own_places(match, other, query))


def _differences(match: Match, other: Match) -> Iterator[Difference]:
    here, there = match.product, other.product
    values = [("name", _own_words(match.name, other.name), _own_words(other.name, match.name))]
    values += [(fact, getattr(here, fact), getattr(there, fact)) for fact in COMPARED]
    values += [
        (ATTRIBUTE + key, str(here.attributes.get(key, "")), str(there.attributes.get(key, "")))
        for key in sorted({**here.attributes, **there.attributes})
    ]
    for fact, value, their in values:
        if value.casefold() != their.casefold():
            yield Difference(fact, value, their)


def _own_words(name: str, other: str) -> str:
    """The words of a name that another one has not, as they are written, with a blank between."""
    theirs = set(_words(other.casefold()))
    return " ".join(word for word in _words(name) if word.casefold() not in theirs)


def _words(name: str) -> list[str]:
    """What stands between blanks, without punctuation around it: "330 ml," is two words, "1,5" is one."""
    return [word for part in name.split() if (word := re.sub(r"^\W+|[^\w%]+$", "", part))]


def _own_places(match: Match, other: Match, query: LocalFeatures | None) -> tuple[tuple[float, float], ...]:
    """Where details of the photo agree with this match and not with the other, the strongest first."""
    if match.evidence is None or query is None:
        return ()
    rivals = other.evidence.agreement.pairs[:, 0] if other.evidence else np.empty(0, np.intp)
    own = np.setdiff1d(match.evidence.agreement.pairs[:, 0], rivals)[:PLACES]  # sorted: the strongest first
    places = query.points[own, :2] / (query.width, query.height)
    if match.evidence.mirrored:
        places[:, 0] = 1 - places[:, 0]
    return tuple((round(x, 4), round(y, 4)) for x, y in places.tolist())
