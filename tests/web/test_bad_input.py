"""Bad input and faults in the staff's pages, by HTTP alone: said plainly, and nothing is lost or half done."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, url_for

from catalog import accounts, products, webhooks
from catalog.catalog import Catalog
from catalog.config import ServerOptions, Settings
from catalog.enrollment import run_pending
from catalog.gallery import open_gallery
from catalog.storage import audit_log
from catalog.transfer import ImportWorker, import_jobs
from tests.support import pictures
from tests.support.catalogs import open_catalog as open_with
from tests.support.catalogs import with_gallery
from tests.support.disks import Disk, small_disk
from tests.support.staff import NAME, PASSWORD, Staff, csrf_of, facts_shown
from tests.web.test_kept_forms import form_of
from web import create_app
from web.security import limiter

#: Markup that would run, in a text and in an attribute.
SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
FILE = "<img src=x onerror=alert(1)>.jpg"


#: Endpoints that are no page of the staff, or of something that the address names.
NO_PAGES = ("api", "health", "description", "merging")


def photo(seed: int, name: str = "") -> tuple[io.BytesIO, str]:
    return io.BytesIO(pictures.jpeg(seed)), name or f"{seed}.jpg"


def text(reply: Any) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", reply.get_data(as_text=True))).split())


def staff_of(catalog: Catalog) -> Staff:
    if not accounts.has_staff(catalog.database):
        accounts.add_user(catalog.database, NAME, PASSWORD, actor="test")
    app = create_app(catalog, "a key for tests only, long enough")
    limiter.reset()
    return Staff(app.test_client())


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Catalog]:
    """A catalog of the test's own."""
    catalog = open_with(Settings.from_env({"CATALOG_DATA": str(tmp_path / "data")}))
    yield catalog
    catalog.close()


def plain_pages(app: Flask) -> list[str]:
    """Every page of the staff that needs nothing in its address."""
    with app.test_request_context():
        rules = [rule for rule in app.url_map.iter_rules() if "GET" in rule.methods and not rule.arguments]
        return [url_for(rule.endpoint) for rule in rules if not rule.endpoint.startswith(NO_PAGES)]


def test_pages_are_of_use_while_the_gallery_is_away(own: Catalog) -> None:
    """What is added meanwhile is kept and told to be pending; what needs the gallery says so."""
    staff_of(own).send("/add/", {"sku": "BEFORE", "photos": [photo(1), photo(2)]})
    away = open_gallery("http://127.0.0.1:9", options=ServerOptions(timeout=2))
    catalog = with_gallery(own, away)
    staff = staff_of(catalog)
    for page in [*plain_pages(staff.client.application), "/products/BEFORE", "/products/BEFORE/history"]:
        assert staff.get(page).status_code in (200, 302), page
    added = staff.send("/add/", {"sku": "MEANWHILE", "photos": [photo(3)]})
    assert added.status_code == 201 and "is kept, and not searchable yet" in text(added)
    for page in ("/try/", "/alike/"):
        reply = staff.send(page, {"photo": photo(1)}, page="/try/")
        assert reply.status_code == 503 and "does not answer" in text(reply) and "Traceback" not in text(reply), page
    page = "/products/BEFORE"
    assert staff.send(f"{page}/facts", {**facts_shown(staff, page), "name": "Tea"}, page=page).location == page
    first = products.get(own.database, "BEFORE").photos[0].id
    for target, form in (("photos/delete", {"photo": first}), ("active", {"active": "0"}), ("active", {"active": "1"})):
        assert staff.send(f"{page}/{target}", form, page=page).location == page, target
    assert "pending" in text(staff.get("/products/MEANWHILE")) and "not searchable yet" in text(staff.get("/products/"))
    overview = staff.get("/overview/").get_data(as_text=True)
    pending = re.search(r'href="([^"]*)"><strong>\d+</strong> <span>pending', overview)
    assert pending and text(staff.get(pending.group(1))).count("MEANWHILE") >= 1
    away.close()
    while run_pending(own):
        pass
    staff = staff_of(own)
    assert "MEANWHILE" in text(staff.send("/try/", {"photo": photo(3)}))
    assert "pending" not in text(staff.get("/products/MEANWHILE"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.mark.slow
def test_a_disk_of_photos_that_is_full_is_said_and_loses_nothing(tmp_path: Path, disk: Disk) -> None:
    env = {"CATALOG_DATA": str(tmp_path / "data"), "CATALOG_PHOTOS": f"file:{disk.folder}/photos"}
    catalog = open_with(Settings.from_env(env))
    staff = staff_of(catalog)
    assert staff.send("/add/", {"sku": "FULL-1", "photos": [photo(1)]}).status_code == 201
    disk.fill()
    form: dict[str, Any] = {"sku": "FULL-2", "brand": "Acme"}
    reply = staff.send("/add/", {**form, "photos": [photo(2)]})
    assert reply.status_code == 503 and 'value="Acme"' in reply.get_data(as_text=True), "nothing typed is lost"
    assert "full" in text(reply) or "No space left" in text(reply)
    told = staff.send("/add/", {**form, "photos": [photo(2)]}, script=True)
    assert (told.status_code, told.get_json(force=True)["code"]) == (503, "storage_error")
    page = "/products/FULL-1"
    shown = products.get(catalog.database, "FULL-1").photos[0].id
    for target, name in (("photos", "photos"), (f"photos/{shown}/replace", "photo")):
        for script in (False, True):
            reply = staff.send(f"{page}/{target}", {name: [photo(3)]}, page=page, script=script)
            assert reply.status_code == 503 and "be stored in" in text(reply), target
    reply = staff.send(f"{page}/photos/{shown}/rotate", {"turns": "1"}, page=page)
    assert reply.status_code == 503 and form_of(reply)[0] == f"{page}/photos/{shown}/rotate", (
        "a button to send it again"
    )
    assert [row.sku for row in products.list_page(catalog.database).products] == ["FULL-1"]
    assert staff.get(f"/photos/{products.get(catalog.database, 'FULL-1').photos[0].sha256}/large").status_code == 200
    disk.free()
    assert staff.send("/add/", {**form, "photos": [photo(2)]}).status_code == 201
    catalog.close()


@pytest.mark.slow
def test_what_a_full_disk_of_the_database_refused_is_sent_again(tmp_path: Path, disk: Disk) -> None:
    env = {"CATALOG_DATA": str(tmp_path / "data"), "CATALOG_DATABASE": f"sqlite:///{disk.folder}/catalog.db"}
    catalog = open_with(Settings.from_env(env))
    staff = staff_of(catalog)
    staff.send("/add/", {"sku": "FULL-1", "photos": [photo(1)]})
    page = "/products/FULL-1"
    typed = {**facts_shown(staff, page), "name": "x" * 150, "csrf_token": csrf_of(staff.client, page)}
    disk.fill()
    refused = staff.client.post(f"{page}/facts", data=typed)
    assert refused.status_code == 503 and "What you sent is still here" in text(refused)
    assert staff.get(page).status_code == 200, "the page is shown all the same"
    disk.free()
    address, fields = form_of(refused)
    assert staff.client.post(address, data=fields).location == page
    assert products.get(catalog.database, "FULL-1").name == "x" * 150
    catalog.close()


def test_markup_is_shown_as_text_and_never_run(own: Catalog) -> None:
    """In all that people can type, in the names of files, keys and people, and in a list; wherever it is shown."""
    staff = staff_of(own)
    app = staff.client.application

    def at(endpoint: str, **values: Any) -> str:
        with app.test_request_context():
            return url_for(endpoint, **values)

    for sku, other, seed in ((SCRIPT, IMAGE, 801), (IMAGE, SCRIPT, 801)):  # one picture in both: duplicates
        form = {"sku": sku, "name": other, "brand": sku, "category": other}
        added = staff.send("/add/", {**form, "photos": [photo(seed, FILE), photo(seed + 1, f"{SCRIPT}.jpg")]})
        assert added.status_code == 201 and SCRIPT not in added.get_data(as_text=True)
        page = at("products.show", sku=sku)
        new = {**facts_shown(staff, page), "label": [other, sku], "attribute": [other], "value": [sku]}
        assert staff.send(f"{page}/facts", {**new, "variant_group": sku}, page=page).location == page
        deleted = products.get(own.database, sku).photos[1].id
        assert staff.send(at("photos.delete", sku=sku), {"photo": deleted}, page=page).location == page
    key = accounts.add_key(own.database, IMAGE, accounts.SCOPES, actor=SCRIPT)
    person = accounts.invite(own.database, IMAGE, "viewer", actor=SCRIPT)
    hook = webhooks.add_webhook(own.database, IMAGE, "https://erp.example/", ["products"], actor=SCRIPT)
    asked = {"data": pictures.jpeg(4003), "headers": {"Authorization": f"Bearer {key.key}"}}
    assert app.test_client().post("/api/v1/recognize", **asked).get_json()["decision"] != "match"
    own.unanswered.flush()
    products.compare_all(own)
    job = import_jobs.start(own, f"{IMAGE}.csv", actor=SCRIPT)
    cell = IMAGE.replace('"', '""')
    rows = f'sku,name,{SCRIPT}\n"{SCRIPT}","{cell}",x\n"{cell}{cell}","{SCRIPT}",y\n,"{SCRIPT}",z\n'
    import_jobs.add_files(own, job, [import_jobs.Piece("list.csv", 0, io.BytesIO(rows.encode()))])
    import_jobs.complete(own, job)
    pages = [at("imports.show", job=job)]
    assert IMAGE in text(staff.get(pages[0]))
    import_jobs.choose_columns(own, job, {"sku": "sku", "name": "name", f"attribute:{SCRIPT}": SCRIPT})
    ImportWorker(own).step()
    pages += plain_pages(app)
    for sku in (SCRIPT, IMAGE):
        shown = products.get(own.database, sku).photos[0].id
        pages += [at("products.show", sku=sku), at("history.show", sku=sku), at("photos.show", sku=sku, photo=shown)]
        pages += [at("photos.choose_product", sku=sku, photo=shown, search=word) for word in (SCRIPT, IMAGE)]
        pages += [at("merging.index", sku=sku), at("merging.index", sku=sku, search=IMAGE)]
        pages += [at("products.index", **{name: sku}) for name in ("search", "brand", "label", "category", "sort")]
    pages += [
        at("merging.index", sku=SCRIPT, other=IMAGE),
        at("products.index", view="table"),
        "/audit/?search=%3Cscript",
    ]
    pages += [at("login.sign_in", next=SCRIPT), at("products.show", sku=SCRIPT + "none"), at("keys.show", key_id=1)]
    pages += [at("webhooks.show", webhook=hook.id)]
    pages += [at("people.show", person=accounts.list_people(own.database)[-1].id), f"/invite/{person.token}"]
    shows = set()
    for page in dict.fromkeys(pages):
        shown = staff.get(page)
        html = shown.get_data(as_text=True) if shown.mimetype == "text/html" else ""
        assert SCRIPT not in html and "<img src=x" not in html, page
        if "&lt;script&gt;alert(1)" in html or "&lt;img src=x onerror" in html:
            shows.add(page.partition("?")[0].partition("%3C")[0])
    lists = ("/products/", "/audit/", "/bin/", "/keys/", "/people/", "/duplicates/", "/import/", "/merge/", "/inbox/")
    lists += ("/webhooks/",)
    assert shows >= {*lists, "/needs-work/", pages[0]}, "each of them shows it"
    for target, form in (("/try/", {"photo": photo(801)}), ("/alike/", {"photo": photo(801)})):
        html = staff.send(target, form, page="/try/").get_data(as_text=True)
        assert "&lt;script&gt;alert(1)" in html and SCRIPT not in html
    asked_of = staff.send("/add/", {"sku": IMAGE * 2, "photos": [photo(801, f"{SCRIPT}.jpg")]}, anyway=False)
    html = asked_of.get_data(as_text=True)
    assert asked_of.status_code == 422 and "data-anyway" in html and SCRIPT not in html and "<img src=x" not in html
    wrong = staff.send("/add/", {"sku": SCRIPT + IMAGE, "photos": [(io.BytesIO(b"text"), FILE)]})
    assert wrong.status_code == 415 and "<img src=x" not in wrong.get_data(as_text=True) and FILE in text(wrong)


def test_too_many_photos_at_once(own: Catalog) -> None:
    staff = staff_of(own)
    many = [photo(1, f"{number}.jpg") for number in range(60)]
    reply = staff.send("/add/", {"sku": "MANY", "brand": "Acme", "photos": many})
    assert reply.status_code == 422 and "60 photos" in text(reply) and 'value="Acme"' in reply.get_data(as_text=True)
    assert products.counts(own.database).products == 0


@pytest.mark.parametrize("name", ["   ", "\u2003\u00a0", "\t"])
def test_a_name_of_blanks_is_no_name(staff: Staff, catalog: Catalog, name: str) -> None:
    sku = f"BLANK-{ord(name[0])}"
    reply = staff.send("/add/", {"sku": f"  {sku} ", "name": name, "brand": name, "photos": [photo(811)]})
    assert reply.status_code == 201 and f"Added: {sku} is searchable" in text(reply)
    found = products.get(catalog.database, sku)
    assert (found.name, found.brand) == (sku, "")
    page = f"/products/{sku}"
    assert staff.send(f"{page}/facts", {**facts_shown(staff, page), "name": name}, page=page).location == page
    assert products.get(catalog.database, sku).name == sku
    assert staff.send(f"{page}/rename", {"sku": name, "version": 1}, page=page).status_code in (409, 422)


def test_what_a_phone_saves_as_heic_says_what_to_do(staff: Staff) -> None:
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    for target, field in (("/add/", "photos"), ("/try/", "photo"), ("/alike/", "photo")):
        reply = staff.send(target, {"sku": "HEIC", field: (io.BytesIO(data), "IMG_1.HEIC")}, page="/try/")
        assert reply.status_code == 415, target
        assert "IMG_1.HEIC" in text(reply) and "Save it as JPEG, or set the phone's camera" in text(reply)


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd(1)!A0"])
def test_a_downloaded_list_holds_no_formula(own: Catalog, formula: str) -> None:
    staff = staff_of(own)
    form = {"sku": formula, "name": formula, "brand": formula, "category": formula}
    assert staff.send("/add/", {**form, "photos": [photo(821)]}).status_code == 201
    with staff.client.application.test_request_context():
        page = url_for("products.show", sku=formula)
    new = {**facts_shown(staff, page), "label": [formula], "attribute": [formula], "value": [formula]}
    assert staff.send(f"{page}/facts", {**new, "variant_group": formula}, page=page).location == page
    choice = {"sku": formula, "csrf_token": csrf_of(staff.client, "/products/")}
    listed = staff.client.post("/bulk/export", data=choice).get_data()
    with staff.client.post("/bulk/export", data={**choice, "photos": "1"}) as whole:
        archive = zipfile.ZipFile(io.BytesIO(whole.get_data()))
    with archive:
        packed = archive.read(next(name for name in archive.namelist() if name.endswith(".csv")))
    for data in (listed, packed):
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
        assert len(rows) == 2 and sum(formula in cell for cell in rows[1]) >= 6
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_errors_of_an_import_hold_no_formula(own: Catalog) -> None:
    staff = staff_of(own)
    job = import_jobs.start(own, "list.csv", actor="test")
    data = b"sku,name,barcode\n=1+1,=2+2,=3+3\n"
    import_jobs.add_files(own, job, [import_jobs.Piece("list.csv", 0, io.BytesIO(data))])
    import_jobs.complete(own, job)
    import_jobs.choose_columns(own, job, {"sku": "sku", "name": "name", "barcode": "barcode"})
    ImportWorker(own).step()
    rows = list(csv.reader(io.StringIO(staff.get(f"/import/{job}/errors.csv").get_data().decode("utf-8-sig"))))
    assert len(rows) >= 2 and any("=1+1" in cell for cell in rows[1])
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_a_form_that_is_sent_twice_is_done_once(staff: Staff, catalog: Catalog) -> None:
    """A double click, or a reload of the answer, without a script: the second time says plainly that it is there."""
    form = {"sku": "AGAIN", "photos": [photo(831)]}
    assert staff.send("/add/", {**form}).status_code == 201
    second = staff.send("/add/", {"sku": "AGAIN", "photos": [photo(831)]})
    assert second.status_code == 409 and "AGAIN" in text(second)
    page = "/products/AGAIN"
    shown = products.get(catalog.database, "AGAIN").photos[0].id
    for target, sent in (
        ("barcodes", {"barcode": "96385074"}),
        ("active", {"active": "0"}),
        ("active", {"active": "1"}),
        ("rename", {"sku": "AGAIN-2"}),
        (f"photos/{shown}/cover", {}),
        ("photos/delete", {"photo": shown}),
        ("delete", {}),
    ):
        token = csrf_of(staff.client, "/products/")
        replies = [staff.client.post(f"{page}/{target}", data={**sent, "csrf_token": token}) for _ in range(2)]
        assert replies[0].status_code == 302, target
        assert replies[1].status_code in (302, 404, 409), target
        assert "Traceback" not in text(replies[1])
        if target == "rename":
            page = "/products/AGAIN-2"
    changes = [entry.action for entry in audit_log.entries(catalog.database, "AGAIN-2").entries]
    assert changes.count("product.delete") == 1 and changes.count("photo.delete") == 1
