from __future__ import annotations

import io
import uuid
from collections.abc import Callable

import pytest
from PIL import Image

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto, run_pending
from catalog.errors import CatalogError, ConflictError, InvalidInputError, NotFoundError, PhotoRejectedError
from catalog.products import Facts, Intake, photo_edits
from catalog.recognition import recognize
from catalog.storage import content_hash
from catalog.storage.tables import AuditEntry, Photo
from tests.support.pictures import bad_files, encode, jpeg, picture
from tests.support.steps import create, first, points, rows, shots

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def hashes(catalog: Catalog, sku: str) -> list[str]:
    return [photo.sha256 for photo in products.get(catalog.database, sku).photos]


def ids(catalog: Catalog, sku: str) -> list[uuid.UUID]:
    return [photo.id for photo in products.get(catalog.database, sku).photos]


def last_audit(catalog: Catalog) -> AuditEntry:
    with catalog.database.read() as session:
        return session.query(AuditEntry).order_by(AuditEntry.id.desc()).first()


def both(left: int, right: int) -> bytes:
    """Two pictures side by side."""
    canvas = Image.new("RGB", (640, 240))
    canvas.paste(picture(left), (0, 0))
    canvas.paste(picture(right), (320, 0))
    return encode(canvas, "PNG")


def test_a_photo_moves_to_the_product_that_it_shows(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    products.move_photo(catalog, "A", added.photos[0].id, "B", actor="anna")
    assert hashes(catalog, "A") == [content_hash(jpeg(2))]
    assert hashes(catalog, "B") == [content_hash(jpeg(1)), content_hash(jpeg(3))]  # by the moment that each was added
    assert [first(catalog, seed) for seed in (1, 2, 3)] == ["B", "A", "B"]
    assert points(catalog) == 3
    assert rows(catalog) == {"product": 2, "photo": 3, "enrollment": 3, "removal": 0}
    entry = last_audit(catalog)
    assert (entry.action, entry.subject, entry.before["sku"], entry.after) == ("photo.move", "A", "A", {"sku": "B"})


def test_a_photo_moves_to_a_product_that_has_it(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    create(catalog, "B", 1)
    products.move_photo(catalog, "A", added.photos[0].id, "B", actor="anna")
    assert (hashes(catalog, "A"), hashes(catalog, "B")) == ([content_hash(jpeg(2))], [content_hash(jpeg(1))])
    assert points(catalog) == 2
    assert first(catalog, 1) == "B"


def test_a_photo_moves_to_a_retired_product_and_back(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    products.set_active(catalog, "B", False, actor="anna")
    products.move_photo(catalog, "A", added.photos[0].id, "B", actor="anna")
    assert recognize(catalog, jpeg(1)).matches[0].score < 0.999
    assert points(catalog) == 1
    moved = next(
        photo.id for photo in products.get(catalog.database, "B").photos if photo.sha256 == content_hash(jpeg(1))
    )
    products.move_photo(catalog, "B", moved, "A", actor="anna")
    assert ids(catalog, "A")[0] == added.photos[0].id
    assert first(catalog, 1) == "A"


def test_moved_while_the_gallery_is_away(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    catalog.gallery.on = False
    products.move_photo(catalog, "A", added.photos[0].id, "B", actor="anna")
    catalog.gallery.on = True
    while run_pending(catalog):
        pass
    assert first(catalog, 1) == "B"
    assert points(catalog) == 3
    assert rows(catalog)["removal"] == 0


def test_a_photo_is_replaced(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    create(catalog, "B", 9)
    result = products.replace_photo(catalog, "A", added.photos[0].id, shots(3)[0], actor="anna")
    assert (result.state, result.sha256, result.duplicate) == ("searchable", content_hash(jpeg(3)), False)
    assert hashes(catalog, "A") == [content_hash(jpeg(3)), content_hash(jpeg(2))]  # in the same place
    assert first(catalog, 3) == "A"
    assert recognize(catalog, jpeg(1)).matches[0].score < 0.999
    assert points(catalog) == 3
    # By one that is there already: the two become one.
    again = products.replace_photo(catalog, "A", result.id, shots(2)[0], actor="anna")
    assert again.duplicate and hashes(catalog, "A") == [content_hash(jpeg(2))]
    same = products.replace_photo(catalog, "A", again.id, shots(2)[0], actor="anna")
    assert same.state == "searchable" and hashes(catalog, "A") == [content_hash(jpeg(2))]


@pytest.mark.parametrize("name", bad_files())
def test_a_photo_that_can_not_be_used_replaces_none(catalog: Catalog, name: str) -> None:
    added = create(catalog, "A", 1)
    data, _, code = bad_files()[name]
    with pytest.raises(PhotoRejectedError) as caught:
        products.replace_photo(catalog, "A", added.photos[0].id, NewPhoto(name, data), actor="anna")
    assert caught.value.code == code
    assert ids(catalog, "A") == [added.photos[0].id]
    assert first(catalog, 1) == "A"


def test_only_a_part_of_a_photo_counts_and_the_whole_comes_back(catalog: Catalog) -> None:
    whole = both(1, 2)
    added = products.create(catalog, Facts("A"), [NewPhoto("two.png", whole)], Intake("anna"))
    create(catalog, "B", 3)
    cropped = products.crop_photo(catalog, "A", added.photos[0].id, RIGHT, actor="anna")
    assert cropped.state == "searchable"
    (photo,) = products.get(catalog.database, "A").photos
    assert (photo.original, photo.crop, photo.width, photo.height) == (content_hash(whole), list(RIGHT), 320, 240)
    part = Image.open(io.BytesIO(catalog.photos.get(photo.sha256)))
    assert part.size == (320, 240)
    before, best = (recognize(catalog, encode(picture(seed), "PNG")).matches[0] for seed in (1, 2))
    assert before.score < 0.9 and (best.sku, best.score) == ("A", pytest.approx(1, abs=0.03))
    # A part of the part is cut from the whole, and is kept as such.
    products.crop_photo(catalog, "A", cropped.id, LEFT, actor="anna")
    (photo,) = products.get(catalog.database, "A").photos
    assert (photo.original, photo.crop, photo.width) == (content_hash(whole), [0.5, 0.0, 0.75, 1.0], 160)
    back = products.uncrop_photo(catalog, "A", photo.id, actor="anna")
    assert back.id == added.photos[0].id
    (photo,) = products.get(catalog.database, "A").photos
    assert (photo.original, photo.crop, photo.sha256) == (None, None, content_hash(whole))
    assert rows(catalog) == {"product": 2, "photo": 2, "enrollment": 2, "removal": 0}
    assert points(catalog) == 2
    with pytest.raises(ConflictError, match="whole"):
        products.uncrop_photo(catalog, "A", photo.id, actor="anna")


@pytest.mark.parametrize(
    "box",
    [(0.5, 0, 0.5, 1), (0.6, 0, 0.5, 1), (-0.1, 0, 1, 1), (0, 0, 1.1, 1), (0, 0, float("nan"), 1), (0, 0, 0.001, 1)],
)
def test_what_is_no_part(catalog: Catalog, box: photo_edits.Box) -> None:
    added = create(catalog, "A", 1)
    with pytest.raises(InvalidInputError):
        products.crop_photo(catalog, "A", added.photos[0].id, box, actor="anna")
    assert ids(catalog, "A") == [added.photos[0].id]


def test_a_part_that_is_too_small_to_be_a_photo(catalog: Catalog) -> None:
    added = create(catalog, "A", 1)
    with pytest.raises(PhotoRejectedError):
        products.crop_photo(catalog, "A", added.photos[0].id, (0, 0, 0.03, 0.03), actor="anna")
    assert ids(catalog, "A") == [added.photos[0].id]


EDITS: dict[str, Callable[[Catalog, str, uuid.UUID], object]] = {
    "delete": lambda catalog, sku, photo: products.delete_photo(catalog, sku, photo, actor="anna"),
    "move": lambda catalog, sku, photo: products.move_photo(catalog, sku, photo, "B", actor="anna"),
    "replace": lambda catalog, sku, photo: products.replace_photo(catalog, sku, photo, shots(7)[0], actor="anna"),
    "crop": lambda catalog, sku, photo: products.crop_photo(catalog, sku, photo, LEFT, actor="anna"),
    "uncrop": lambda catalog, sku, photo: products.uncrop_photo(catalog, sku, photo, actor="anna"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_is_not_there(catalog: Catalog, edit: str) -> None:
    added = create(catalog, "A", 1)
    create(catalog, "B", 2)
    before = rows(catalog)
    for sku, photo in (("A", uuid.uuid4()), ("C", added.photos[0].id), ("../x", added.photos[0].id)):
        with pytest.raises(NotFoundError):
            EDITS[edit](catalog, sku, photo)
    assert rows(catalog) == before


def test_moving_to_itself_or_to_nobody(catalog: Catalog) -> None:
    added = create(catalog, "A", 1)
    with pytest.raises(InvalidInputError):
        products.move_photo(catalog, "A", added.photos[0].id, " A ", actor="anna")
    with pytest.raises(NotFoundError):
        products.move_photo(catalog, "A", added.photos[0].id, "C", actor="anna")
    assert first(catalog, 1) == "A"


@pytest.mark.parametrize("edit", ["replace", "crop"])
def test_nothing_changes_when_the_store_is_full(catalog: Catalog, edit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    added = create(catalog, "A", 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("catalog.durable_files.os.replace", full)
    with pytest.raises(CatalogError, match="No space left"):
        EDITS[edit](catalog, "A", added.photos[0].id)
    monkeypatch.undo()
    with catalog.database.read() as session:
        assert [photo.id for photo in session.query(Photo)] == [added.photos[0].id]
    assert first(catalog, 1) == "A"
