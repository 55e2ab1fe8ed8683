from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.errors import PhotoQuestionableError
from catalog.products import AddResult, Intake
from catalog.products.adding import Facts
from catalog.storage.tables import AuditEntry
from tests.support.drawn import DRAWN, front
from tests.support.pictures import encode, jpeg, picture


def add(catalog: Catalog, sku: str, *photos: bytes, check: Any = "report") -> AddResult:
    uploads = [NewPhoto(f"{place}.jpg", data) for place, data in enumerate(photos)]
    facts = Facts(sku, f"Name of {sku}")
    return products.create(catalog, facts, uploads, Intake("test", check=check, read_barcodes=check != "off"))


def codes(added: AddResult) -> list[list[str]]:
    return [[warning.code for warning in photo.warnings] for photo in added.photos]


def saved_again(data: bytes, share: float = 0.5, quality: int = 60) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        size = (round(image.width * share), round(image.height * share))
        image.convert("RGB").resize(size).save(out, "JPEG", quality=quality)
    return out.getvalue()


def dark(seed: int) -> bytes:
    return encode(picture(seed).point(lambda value: value * 0.2))


def test_what_speaks_against_a_photo_is_kept_with_it_and_in_the_audit_log(catalog: Catalog) -> None:
    added = add(catalog, "A", jpeg(1), dark(2))
    assert codes(added) == [[], ["too_dark"]]
    good, bad = added.photos
    rows = {photo.sha256: (photo.status, photo.warnings) for photo in products.get(catalog.database, "A").photos}
    assert rows == {good.sha256: ("accepted", []), bad.sha256: ("overruled", ["too_dark"])}
    with catalog.database.read() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "product.create")).one()
    assert entry.after and entry.after["overruled"] == {bad.sha256: ["too_dark"]}


def test_strict_refuses_before_anything_is_written_and_names_every_photo(catalog: Catalog) -> None:
    with pytest.raises(PhotoQuestionableError) as caught:
        add(catalog, "A", dark(2), jpeg(1), jpeg(3, (80, 60)), check="refuse")
    error = caught.value
    assert error.code == "photo_questionable" and error.filename == "0.jpg"
    assert [(one.filename, [w.code for w in one.warnings]) for one in error.rejected] == [
        ("0.jpg", ["too_dark"]),
        ("2.jpg", ["too_small"]),
    ]
    assert products.counts(catalog.database) == products.Counts(0, 0, 0)
    with pytest.raises(FileNotFoundError):
        catalog.photos.root.joinpath(error.sha256[:2]).stat()  # type: ignore[attr-defined]  # the test's is a folder
    assert add(catalog, "A", jpeg(1), check="refuse").searchable


def test_a_picture_saved_again_is_found_on_its_product_and_on_another(catalog: Catalog) -> None:
    for place in range(3):
        add(catalog, f"P{place}", front(DRAWN[place]))
    again = saved_again(front(DRAWN[1]))
    own = products.add_photos(catalog, "P1", [NewPhoto("again.jpg", again)], Intake("test"))
    (warning,) = own.photos[0].warnings
    assert (warning.code, warning.sku) == ("same_picture", "P1") and "adds nothing" in warning.message
    other = add(catalog, "OTHER", saved_again(front(DRAWN[2])))
    (warning,) = other.photos[0].warnings
    assert (warning.code, warning.sku, warning.name) == ("same_picture", "P2", "Name of P2")
    assert warning.closeness is not None and warning.closeness > 0.9


def test_the_same_file_elsewhere_is_found_and_a_photo_sent_again_is_no_question(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1))
    added = add(catalog, "B", jpeg(1))
    (warning,) = added.photos[0].warnings
    assert (warning.code, warning.sku, warning.closeness) == ("same_picture", "A", 1.0)
    again = products.add_photos(catalog, "B", [NewPhoto("1.jpg", jpeg(1))], Intake("test", check="refuse"))
    assert again.photos[0].duplicate and again.photos[0].warnings == ()


def test_the_same_picture_twice_in_one_request_is_found(catalog: Catalog) -> None:
    first = front(DRAWN[4])
    assert codes(add(catalog, "A", first, saved_again(first))) == [[], ["same_picture"]]


def test_a_picture_without_print_saved_again_is_found_by_its_colors(catalog: Catalog) -> None:
    image = Image.new("RGB", (400, 300), (90, 120, 60))
    image.paste(Image.radial_gradient("L").resize((200, 200)).convert("RGB"), (100, 50))
    add(catalog, "A", encode(image, quality=95))
    assert codes(add(catalog, "B", encode(image.resize((260, 195)), quality=40)))[0][-1] == "same_picture"


def test_the_same_pack_turned_is_another_code(catalog: Catalog) -> None:
    add(catalog, "A", front(DRAWN[1]))
    (warning,) = add(catalog, "B", front(DRAWN[1], 20, "gray")).photos[0].warnings
    assert (warning.code, warning.sku) == ("same_pack", "A") and (warning.points or 0) >= 30


def test_what_would_be_answered_as_another_product_is_said_with_how_close(catalog: Catalog) -> None:
    lone = picture(5)
    add(catalog, "A", encode(lone))
    near = encode(lone.transpose(Image.Transpose.FLIP_LEFT_RIGHT))  # no print agrees: SIFT sees no mirrored print
    (warning,) = add(catalog, "B", near).photos[0].warnings
    score = catalog.generations.live().embedder.bundle.thresholds.score
    assert (warning.code, warning.sku) == ("close_to_other", "A") and (warning.closeness or 0) >= score
    # The product's own photos are nearer to its next one: nothing to say.
    more = products.add_photos(catalog, "B", [NewPhoto("m.jpg", saved_again(near, 0.9, 80))], Intake("test"))
    assert {warning.sku for warning in more.photos[0].warnings} == {"B"}


def test_a_retired_product_is_no_other(catalog: Catalog) -> None:
    add(catalog, "A", front(DRAWN[1]))
    products.set_active(catalog, "A", False, actor="test")
    assert codes(add(catalog, "B", front(DRAWN[1]))) == [[]]


def test_without_the_gallery_only_what_can_be_told_is_and_the_photo_is_kept(catalog: Catalog) -> None:
    add(catalog, "A", front(DRAWN[1]))
    catalog.gallery.on = False  # type: ignore[attr-defined]  # see conftest
    added = add(catalog, "B", front(DRAWN[1], 30), dark(2), front(DRAWN[1]))
    assert codes(added) == [[], ["too_dark"], ["same_picture"]]
    assert {photo.state for photo in added.photos} == {"pending"}


def test_an_import_keeps_the_quality_and_asks_nothing(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1))
    assert codes(add(catalog, "B", jpeg(1), dark(2), check="off")) == [[], ["too_dark"]]
