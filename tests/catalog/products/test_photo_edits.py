from __future__ import annotations

import io
import uuid
from collections.abc import Callable

import numpy as np
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
    products.move_photos(catalog, "A", [added.photos[0].id], "B", actor="anna")
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
    products.move_photos(catalog, "A", [added.photos[0].id], "B", actor="anna")
    assert (hashes(catalog, "A"), hashes(catalog, "B")) == ([content_hash(jpeg(2))], [content_hash(jpeg(1))])
    assert points(catalog) == 2
    assert first(catalog, 1) == "B"


def test_a_photo_moves_to_a_retired_product_and_back(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    products.set_active(catalog, "B", False, actor="anna")
    products.move_photos(catalog, "A", [added.photos[0].id], "B", actor="anna")
    assert recognize(catalog, jpeg(1)).matches[0].score < 0.999
    assert points(catalog) == 1
    moved = next(
        photo.id for photo in products.get(catalog.database, "B").photos if photo.sha256 == content_hash(jpeg(1))
    )
    products.move_photos(catalog, "B", [moved], "A", actor="anna")
    assert ids(catalog, "A")[0] == added.photos[0].id
    assert first(catalog, 1) == "A"


def test_several_photos_move_at_once_or_none(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2, 3)
    create(catalog, "B", 4)
    chosen = [photo.id for photo in added.photos[:2]]
    for wanted, error in (([], InvalidInputError), ([*chosen, uuid.uuid4()], NotFoundError)):
        with pytest.raises(error):
            products.move_photos(catalog, "A", wanted, "B", actor="anna")
    products.set_cover(catalog.database, "A", chosen[1], actor="anna")
    products.move_photos(catalog, "A", chosen, "B", actor="anna")
    assert hashes(catalog, "A") == [content_hash(jpeg(3))]
    assert hashes(catalog, "B") == [content_hash(jpeg(seed)) for seed in (1, 2, 4)], "a cover of A is none of B"
    assert [first(catalog, seed) for seed in (1, 2, 3, 4)] == ["B", "B", "A", "B"]
    assert (points(catalog), rows(catalog)["removal"]) == (4, 0)


def test_the_cover_is_first_and_stays_so_when_it_is_edited(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2, 3)
    products.set_cover(catalog.database, "A", added.photos[1].id, actor="anna")
    assert hashes(catalog, "A") == [content_hash(jpeg(seed)) for seed in (2, 1, 3)]
    entry = last_audit(catalog)
    assert (entry.action, entry.before, entry.after) == (
        "photo.cover",
        {"photo": content_hash(jpeg(1))},
        {"photo": content_hash(jpeg(2))},
    )
    edited = products.crop_photo(catalog, "A", added.photos[1].id, LEFT, actor="anna")
    assert ids(catalog, "A")[0] == edited.id
    replaced = products.replace_photo(catalog, "A", edited.id, shots(3)[0], actor="anna")
    assert replaced.duplicate and hashes(catalog, "A") == [content_hash(jpeg(seed)) for seed in (3, 1)]
    products.set_cover(catalog.database, "A", added.photos[0].id, actor="anna")
    assert hashes(catalog, "A") == [content_hash(jpeg(seed)) for seed in (1, 3)]
    with pytest.raises(NotFoundError):
        products.set_cover(catalog.database, "A", uuid.uuid4(), actor="anna")


def test_a_rotated_photo_takes_the_place_of_the_old_one(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    result = products.rotate_photo(catalog, "A", added.photos[0].id, 1, actor="anna")
    assert result.state == "searchable"
    photo, other = products.get(catalog.database, "A").photos
    assert (photo.id, photo.width, photo.height, photo.original, other.width) == (result.id, 240, 320, None, 320)
    seen = np.asarray(Image.open(io.BytesIO(catalog.photos.get(photo.sha256))), int)
    wanted = np.asarray(picture(1).rotate(-90, expand=True), int)
    assert np.abs(seen - wanted).mean() < 3, "clockwise"
    assert recognize(catalog, encode(picture(1).rotate(-90, expand=True), "PNG")).matches[0].sku == "A"
    assert points(catalog) == 2
    for turns in (0, 4, -1):
        with pytest.raises(InvalidInputError):
            products.rotate_photo(catalog, "A", result.id, turns, actor="anna")


def test_a_rotated_crop_is_the_same_part_and_the_whole_comes_back_rotated(catalog: Catalog) -> None:
    added = products.create(catalog, Facts("A"), [NewPhoto("two.png", both(1, 2))], Intake("anna"))
    cropped = products.crop_photo(catalog, "A", added.photos[0].id, (0.5, 0.0, 1.0, 0.5), actor="anna")
    turned = products.rotate_photo(catalog, "A", cropped.id, 3, actor="anna")
    (photo,) = products.get(catalog.database, "A").photos
    assert (photo.width, photo.height, photo.crop) == (120, 320, [0.0, 0.0, 0.5, 0.5])
    seen = np.asarray(Image.open(io.BytesIO(catalog.photos.get(photo.sha256))), int)
    wanted = np.asarray(picture(2).crop((0, 0, 320, 120)).rotate(90, expand=True), int)
    assert np.abs(seen - wanted).mean() < 4, "counter-clockwise"
    products.uncrop_photo(catalog, "A", turned.id, actor="anna")
    (photo,) = products.get(catalog.database, "A").photos
    assert (photo.width, photo.height, photo.crop) == (240, 640, None)


def test_moved_while_the_gallery_is_away(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    catalog.gallery.on = False
    products.move_photos(catalog, "A", [added.photos[0].id], "B", actor="anna")
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
    "delete": lambda catalog, sku, photo: products.delete_photos(catalog, sku, [photo], actor="anna"),
    "move": lambda catalog, sku, photo: products.move_photos(catalog, sku, [photo], "B", actor="anna"),
    "replace": lambda catalog, sku, photo: products.replace_photo(catalog, sku, photo, shots(7)[0], actor="anna"),
    "crop": lambda catalog, sku, photo: products.crop_photo(catalog, sku, photo, LEFT, actor="anna"),
    "rotate": lambda catalog, sku, photo: products.rotate_photo(catalog, sku, photo, 2, actor="anna"),
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
        products.move_photos(catalog, "A", [added.photos[0].id], " A ", actor="anna")
    with pytest.raises(NotFoundError):
        products.move_photos(catalog, "A", [added.photos[0].id], "C", actor="anna")
    assert first(catalog, 1) == "A"


@pytest.mark.parametrize("edit", ["replace", "crop", "rotate"])
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
