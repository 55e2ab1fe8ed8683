from __future__ import annotations

import io
import re

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from sqlalchemy import select

from catalog import accounts, enrollment, margins, products, webhooks
from catalog.catalog import Catalog
from catalog.judging.figures import Figures, Report
from catalog.products import Facts, Intake
from catalog.runs import recording
from catalog.storage import audit_log
from catalog.storage.tables import AuditEntry, Generation, Judgement
from catalog.transfer import import_jobs
from tests.support import pictures
from tests.support.margins import APPLE, PEAR, put_look_alikes
from tests.support.staff import NAME, PASSWORD, Staff, csrf_of, facts_shown, field_of
from web.security import limiter

#: Name and value of a row of the audit log.
ROW = re.compile(r"<dt>([^<]*)</dt><dd>(.*?)</dd>")
SCRIPT = {"X-Requested-With": "fetch"}
#: Routes that are no page of the staff, by endpoint or blueprint: for programs, files, or a part of a page.
NO_PAGE = {
    "problems",
    "docs",
    "swagger_ui",
    "api",
    "health",
    "metrics",
    "static",
    "bootstrap",
    "description",
    "pictures",
    "home",
} | {
    *("inbox.picture", "imports.progress", "imports.errors_list", "alike.index", "login.state"),
    *("jobs.progress", "jobs.run_progress", "map.points"),
}


def photo(seed: int) -> tuple[io.BytesIO, str]:
    return io.BytesIO(pictures.jpeg(seed)), f"{seed}.jpg"


def text(reply) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", reply.get_data(as_text=True)).split())


@pytest.fixture(scope="module")
def every_page(app: Flask, catalog: Catalog) -> dict[str, str]:
    """A real address of each page that the app has a route for, by endpoint: a new page is looked at, too."""
    limiter.reset()
    staff = Staff(app.test_client())
    staff.send("/add/", {"sku": "WEB-EVERY", "name": "Tea", "photos": [photo(102)]})
    found = products.get(catalog.database, "WEB-EVERY").photos[0].id
    accounts.add_key(catalog.database, "till of every page", actor="test")
    job = import_jobs.start(catalog, "list.csv", actor=NAME)
    import_jobs.add_files(catalog, job, [import_jobs.Piece("list.csv", 0, io.BytesIO(b"sku,name\nWEB-EVERY,Tea\n"))])
    import_jobs.complete(catalog, job)
    run = recording.latest(catalog.database, "doctor")  # another test may have asked for it already
    run = run or recording.get(catalog.database, recording.start(catalog.database, "doctor", actor=NAME))
    with catalog.database.write() as session:
        model = session.scalars(select(Generation).where(Generation.live)).one()
        nothing = Report(1, {}, Figures(), Figures(), 0, 0).as_dict()
        session.add(Judgement(generation_id=model.id, live_id=model.id, seed=1, state="passed", report=nothing))
        judged = model.bundle_id
    hook = webhooks.add_webhook(catalog.database, "every page", "https://erp.example/", ["inbox"], actor="test")
    link = accounts.invite(catalog.database, "guest of every page", "viewer", actor="test")
    addresses = {
        "products.show": "/products/WEB-EVERY",
        "photos.show": f"/products/WEB-EVERY/photos/{found}",
        "photos.choose_product": f"/products/WEB-EVERY/photos/move?photo={found}",
        "history.show": "/products/WEB-EVERY/history",
        "merging.index": "/merge/?sku=WEB-EVERY",
        "imports.show": f"/import/{job}",
        "jobs.show": f"/jobs/{run.id}",
        "models.judgement": f"/models/{judged}/judgement",
        "needs_work.take_photo": "/needs-work/WEB-EVERY/photo",
        "keys.show": f"/keys/{accounts.list_keys(catalog.database)[0].id}",
        "webhooks.show": f"/webhooks/{hook.id}",
        "people.show": f"/people/{accounts.list_people(catalog.database)[0].id}",
        "links.invitation": f"/invite/{link.token}",
    }
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if "GET" in rule.methods and not {rule.endpoint, rule.endpoint.partition(".")[0]} & NO_PAGE:
                addresses.setdefault(rule.endpoint, url_for(rule.endpoint) if not rule.arguments else rule.rule)
    addresses.pop("links.start")  # tests/web/test_first_start.py
    assert not [address for address in addresses.values() if "<" in address], "say here where such a page is"
    return {**addresses, "none": "/products/NO-SUCH"}


def test_nothing_shows_without_signing_in(anybody: FlaskClient, every_page: dict[str, str]) -> None:
    asked = {name: page for name, page in every_page.items() if not name.startswith(("links.", "login."))}
    assert len(asked) > 20
    for page in [*asked.values(), "/photos/" + "0" * 64 + "/thumbnail"]:
        reply = anybody.get(page)
        assert reply.status_code == 302 and "/login" in reply.location, page


def test_every_page_shows(staff, anybody: FlaskClient, every_page: dict[str, str]) -> None:
    """No cache keeps it; no inline code; a language, one heading, a title of its own; the token in each form."""
    titles = set()
    for name, page in every_page.items():
        reply = (anybody if name.startswith(("links.", "login.")) else staff).get(page)
        assert reply.status_code == (404 if name == "none" else 200), page
        policy = reply.headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy and "unsafe-inline" not in policy
        assert reply.headers["Cache-Control"] == "no-store", page
        html = reply.get_data(as_text=True)
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", html), "inline code would be blocked"
        assert html.startswith('<!doctype html>\n<html lang="en">') and len(re.findall(r"<h1\b", html)) == 1, page
        titles |= set(re.findall(r"<title>(.+) - Catalog</title>", html))
        for form in re.findall(r'<form[^>]*method="post".*?</form>', html, re.DOTALL):
            assert form.count('name="csrf_token" value="') == 1, (page, form)
    assert len(titles) > len(every_page) - 4, "pages are told apart by their titles"


def test_a_change_needs_the_token_of_the_page(staff) -> None:
    reply = staff.client.post("/add/", data={"sku": "FORGED", "photos": photo(1)}, content_type="multipart/form-data")
    assert reply.status_code == 400 and "no longer valid" in text(reply)


def test_wrong_password_and_too_many_tries(anybody: FlaskClient) -> None:
    limiter.reset()
    token = csrf_of(anybody, "/login")
    for _ in range(10):
        reply = anybody.post("/login", data={"name": NAME, "password": "guess", "csrf_token": token})
        assert reply.status_code == 401 and "wrong" in text(reply)
    reply = anybody.post("/login", data={"name": NAME, "password": "guess", "csrf_token": token})
    assert reply.status_code == 429 and "Too many tries" in text(reply)
    limiter.reset()


@pytest.mark.parametrize(
    "target",
    [
        *("https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "\t//evil.example"),
        *("/products/\r\nX-Evil: 1", "/\r\n/evil.example", "//[", "http://[", "/\x00", "javascript:alert(1)", "keys"),
    ],
)
def test_signing_in_never_leads_elsewhere(app, target: str) -> None:
    limiter.reset()
    client = app.test_client()
    form = {"name": NAME, "password": PASSWORD, "csrf_token": csrf_of(client, "/login")}
    reply = client.post("/login", query_string={"next": target}, data=form)
    assert (reply.status_code, reply.location) == (302, "/products/")


@pytest.mark.parametrize("target", ["/keys/", "/audit/?search=a", "/products/T%C3%A9", "/products/Tè"])
def test_signing_in_leads_back(app, target: str) -> None:
    limiter.reset()
    client = app.test_client()
    form = {"name": NAME, "password": PASSWORD, "csrf_token": csrf_of(client, "/login")}
    location = client.post("/login", query_string={"next": target}, data=form).location
    assert location == target.replace("è", "%C3%A8")


def test_add_shows_each_photo_searchable(staff, catalog: Catalog) -> None:
    form = {"sku": "WEB-1", "name": "Tea <b>", "photos": [photo(101), photo(102), photo(103)]}
    reply = staff.send("/add/", form)
    assert reply.status_code == 201
    assert text(reply).count("✓ searchable") == 3 and re.search(r"3 photos in \d+ ms", text(reply))
    assert "<b>" not in reply.get_data(as_text=True), "a name is text, never markup"
    assert len(products.get(catalog.database, "WEB-1").photos) == 3
    shown = text(staff.get("/products/?search=web-1"))
    assert "WEB-1" in shown and "3 photos" in shown


def test_the_script_gets_a_part_or_a_problem(staff) -> None:
    part = staff.send("/add/", {"sku": "WEB-2", "photos": [photo(111)]}, script=True)
    assert part.status_code == 201 and "<html" not in part.get_data(as_text=True) and "✓ searchable" in text(part)
    again = staff.send("/add/", {"sku": "WEB-2", "photos": [photo(112)]}, script=True)
    assert again.status_code == 409 and again.get_json(force=True)["code"] == "sku_exists"


@pytest.mark.parametrize("name", pictures.bad_files())
def test_bad_files_give_a_form_message(staff, catalog: Catalog, name: str) -> None:
    data, status, _ = pictures.bad_files()[name]
    before = products.counts(catalog.database)
    form = {"sku": "WEB-BAD", "name": "kept on the form", "photos": [photo(121), (io.BytesIO(data), name)]}
    reply = staff.send("/add/", form)
    assert reply.status_code == status and name in text(reply)
    assert 'value="kept on the form"' in reply.get_data(as_text=True), "nothing typed is lost"
    assert products.counts(catalog.database) == before


@pytest.mark.parametrize("sku", ["", "A" * 10_000, "../../etc/passwd"])
def test_bad_skus_give_a_form_message(staff, catalog: Catalog, sku: str) -> None:
    before = products.counts(catalog.database)
    reply = staff.send("/add/", {"sku": sku, "photos": [photo(131)]})
    assert reply.status_code == 422 and "SKU" in text(reply)
    assert products.counts(catalog.database) == before


def test_no_file_chosen(staff) -> None:
    reply = staff.send("/add/", {"sku": "WEB-NOFILE", "photos": (io.BytesIO(b""), "")})
    assert reply.status_code == 422 and "at least one photo" in text(reply)


def test_try_a_photo(staff) -> None:
    staff.send("/add/", {"sku": "WEB-TRY", "photos": [photo(141)]})
    for script in (False, True):
        reply = staff.send("/try/", {"photo": photo(141)}, script=script)
        assert reply.status_code == 200 and "WEB-TRY" in text(reply) and "score 1.000" in text(reply)
    assert staff.send("/try/", {"photo": (io.BytesIO(b"text"), "a.jpg")}).status_code == 415


def test_the_products_page_says_which_margin_it_needs(staff, catalog: Catalog) -> None:
    put_look_alikes(catalog)
    assert "only by a margin" not in text(staff.get(f"/products/{APPLE}"))
    margins.refresh(catalog, catalog.generations.ready())
    page = staff.get(f"/products/{APPLE}")
    assert "only by a margin of 0.157" in text(page) and "most clearly Name of PEAR" in text(page)
    assert f'href="/products/{PEAR}"' in page.get_data(as_text=True)
    assert "only by a margin" not in text(staff.get(f"/products/{PEAR}"))
    for sku in (PEAR, APPLE):
        products.purge(catalog, sku, actor="test")


def test_product_page_changes(staff, catalog: Catalog) -> None:
    staff.send("/add/", {"sku": "WEB-P", "photos": [photo(151), photo(152)]})
    page = "/products/WEB-P"
    staff.send(f"{page}/facts", {**facts_shown(staff, page), "name": "Renamed", "brand": "B"}, page=page)
    assert products.get(catalog.database, "WEB-P").name == "Renamed"

    staff.send(f"{page}/photos", {"photos": [photo(152), photo(153)]}, page=page)
    assert "1 photo added and searchable" in text(staff.get(page)), "the second was there already"
    first = products.get(catalog.database, "WEB-P").photos[0]
    staff.send(f"{page}/photos/delete", {"photo": first.id}, page=page)
    assert len(products.get(catalog.database, "WEB-P").photos) == 2

    staff.send(f"{page}/active", {"active": "0"}, page=page)
    assert "WEB-P" not in text(staff.get("/products/?search=WEB-P")).replace("“WEB-P”", "")
    assert "WEB-P" in text(staff.get("/products/?search=WEB-P&state=retired"))
    staff.send(f"{page}/active", {"active": "1"}, page=page)
    assert products.get(catalog.database, "WEB-P").active

    with catalog.database.read() as session:
        mine = select(AuditEntry.actor, AuditEntry.action).where(AuditEntry.subject == "WEB-P").order_by(AuditEntry.id)
        rows = session.execute(mine).all()
    assert {actor for actor, _ in rows} == {NAME}
    assert [action for _, action in rows] == [
        "product.create",
        "product.change",
        "photos.add",
        "photo.delete",
        "product.retire",
        "product.restore",
    ]
    assert "WEB-P : Retired" in text(staff.get("/audit/?search=WEB-P"))


@pytest.mark.slow
def test_products_are_paged_by_key(staff, catalog: Catalog) -> None:
    for number in range(50):
        upload = enrollment.NewPhoto("p.jpg", pictures.jpeg(3000 + number, (64, 64)))
        products.create(catalog, Facts(f"PAGE-{number:02}"), [upload], Intake("test"))
    seen: list[str] = []
    target = "/products/?search=PAGE-"
    while target:
        html = staff.get(target).get_data(as_text=True)
        seen += re.findall(r'href="/products/(PAGE-\d+)\?', html)
        following = re.search(r'href="([^"]*after=[^"]*)"', html)
        target = following.group(1).replace("&amp;", "&") if following else ""
    assert seen == [f"PAGE-{number:02}" for number in range(50)]


def test_thumbnails(staff, catalog: Catalog) -> None:
    staff.send("/add/", {"sku": "WEB-T", "photos": [photo(161)]})
    sha256 = products.get(catalog.database, "WEB-T").photos[0].sha256
    reply = staff.get(f"/photos/{sha256}/thumbnail")
    assert reply.content_type == "image/jpeg" and "immutable" in reply.headers["Cache-Control"]
    assert staff.get(f"/photos/{'0' * 64}/thumbnail").status_code == 404
    assert staff.get("/photos/..%2F..%2Fetc/thumbnail").status_code == 404


def test_unknown_product(staff) -> None:
    reply = staff.get("/products/NO-SUCH")
    assert reply.status_code == 404 and "no product" in text(reply)


def test_no_cache_keeps_what_is_secret(staff, anybody: FlaskClient, till: FlaskClient) -> None:
    """And no cache keeps a page: test_every_page_shows."""
    assert staff.send_once("/keys/", {"name": "till 10"}).headers["Cache-Control"] == "no-store"
    assert till.post("/api/v1/recognize", data=pictures.jpeg(1)).headers["Cache-Control"] == "no-store"
    with anybody.get("/static/app.css") as kept:
        assert kept.headers["Cache-Control"] != "no-store"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example"])
def test_the_example_names_no_host_of_a_request(staff, host: str) -> None:
    page = staff.get("/keys/").get_data(as_text=True)
    form = {
        "name": "till 11",
        "scope": "recognize",
        "form": field_of(page, "form"),
        "csrf_token": field_of(page, "csrf_token"),
    }
    session = staff.client.get_cookie("session")
    assert session is not None
    staff.client.set_cookie("session", session.value, domain=host.partition(":")[0])
    there = {"base_url": f"http://{host}", "headers": {"X-Forwarded-Host": host}}
    reply = staff.client.get(staff.client.post("/keys/", data=form, **there).location, **there)
    html = reply.get_data(as_text=True)
    assert reply.status_code == 200 and "data-key" in html and "evil" not in html
    assert "/api/v1/recognize" in text(reply)


def test_the_audit_log_shows_what_a_change_changed_and_pages_back(staff, catalog: Catalog) -> None:
    staff.send("/add/", {"sku": "WEB-LOG", "name": "Tea", "photos": [photo(181)]})
    page = "/products/WEB-LOG"
    staff.send(f"{page}/facts", {**facts_shown(staff, page), "name": "Mint <tea>"}, page=page)
    shown = staff.get("/audit/?search=web-log").get_data(as_text=True)
    assert "<del>Tea</del> <ins>Mint &lt;tea&gt;</ins>" in shown and shown.count("WEB-LOG") >= 2
    assert "<del>WEB-LOG</del>" not in shown, "what stayed is no change"
    assert f"<bdi>WEB-LOG</bdi>: <strong>Changed</strong> by {NAME}" in shown and "{" not in shown
    assert "<strong>Added</strong>" in shown and "<dt>photos</dt><dd> <ins>1</ins></dd>" in shown

    for number in range(60):
        accounts.add_key(catalog.database, f"log-{number:02}", actor="keeper")
    first = staff.get("/audit/?search=keeper").get_data(as_text=True)
    older = re.search(r'href="([^"]*before=\d+)"', first)
    assert older and "log-59" in first and "log-09" not in first
    second = staff.get(older.group(1).replace("&amp;", "&")).get_data(as_text=True)
    assert "log-09" in second and "log-00" in second and "log-10" not in second


def test_the_audit_log_is_in_words(staff, catalog: Catalog) -> None:
    """What each entry recorded as a person would say it: names of actions and values, pictures of photos, no JSON."""
    staff.send("/add/", {"sku": "WORDS-1", "name": "Tea", "photos": [photo(182), photo(183)]})
    staff.send("/add/", {"sku": "WORDS-2", "name": "Tee", "photos": [photo(184)]})
    staff.send("/add/", {"sku": "WORDS-3", "photos": [photo(185)]})
    first, second = products.get(catalog.database, "WORDS-1").photos
    products.set_cover(catalog.database, "WORDS-1", second.id, actor="anna")
    products.set_labels(catalog.database, "WORDS-1", ["store 12", "bakery"], actor="anna")
    products.barcode_owners.add(catalog.database, "WORDS-1", "5012345678900", actor="anna")
    products.set_active(catalog, "WORDS-1", False, actor="anna")
    products.set_different(catalog.database, "WORDS-1", "WORDS-2", actor="anna")
    products.move_photos(catalog, "WORDS-1", [first.id], "WORDS-3", actor="anna")
    products.change_many(catalog, ("WORDS-2", "WORDS-3"), products.BulkChange(brand="Acme"), actor="anna")
    products.merge(catalog, "WORDS-2", "WORDS-3", actor="anna")
    products.delete_product(catalog, "WORDS-3", actor="anna")
    with catalog.database.write() as session:
        audit_log.record(
            session, "anna", "thing.of_later", "WORDS-9", {"files": ["a" * 64, "b" * 64], "on": True}, None
        )
    shown = staff.get("/audit/").get_data(as_text=True)
    told = [re.sub(r"<[^>]+>", "", line).strip() for line in re.findall(r"<li><p>(.*?)<time", shown)]
    assert told[:13] == [
        "WORDS-9: Thing: of later by anna",
        "WORDS-3: Deleted by anna",
        "WORDS-3: Merged with WORDS-2 by anna",
        "2 products: Bulk change by anna",
        "WORDS-1: Photo moved to WORDS-3 by anna",
        "WORDS-1: Told apart from WORDS-2 by anna",
        "WORDS-1: Retired by anna",
        "WORDS-1: Barcode added by anna",
        "WORDS-1: Labels changed by anna",
        "WORDS-1: Another photo shown first by anna",
        "WORDS-3: Added by anna",
        "WORDS-2: Added by anna",
        "WORDS-1: Added by anna",
    ]
    rows = [(name, *re.sub(r"<[^>]+>", "|", value).split()) for name, value in ROW.findall(shown)]
    for row in (
        ("files", "|2|"),
        ("on", "|yes|"),
        ("WORDS-2: brand", "|Acme|"),
        ("active", "|in", "the", "catalog|", "|retired|"),
        ("barcodes", "|5012345678900|"),
        ("labels", "|store", "12|"),
    ):
        assert row in rows, row
    assert "{" not in shown and "[" not in shown, "no JSON"
    for photo_of in (first.sha256, second.sha256):
        assert photo_of in shown
    found = text(staff.get("/audit/?search=told+APART"))
    assert "WORDS-1 : Told apart from WORDS-2" in found and "Retired" not in found
    assert "WORDS-1 : Told apart from WORDS-2" in text(staff.get("/audit/?search=product.differ"))


def test_a_script_is_told_that_the_session_ended(anybody: FlaskClient) -> None:
    reply = anybody.post("/add/", data={"sku": "X", "csrf_token": csrf_of(anybody, "/login")}, headers=SCRIPT)
    assert (reply.status_code, reply.get_json(force=True)["code"]) == (401, "not_signed_in")


def test_an_error_stands_beside_its_field_and_what_was_typed_stays(staff) -> None:
    staff.send("/add/", {"sku": "WEB-FIELD", "photos": [photo(191)]})
    reply = staff.send("/add/", {"sku": "WEB-FIELD", "brand": "Acme", "photos": [photo(192)]})
    page = reply.get_data(as_text=True)
    assert reply.status_code == 409 and 'aria-invalid="true" aria-describedby="sku-problem"' in page
    assert re.search(r'id="sku-problem">[^<]*WEB-FIELD', page) and 'value="Acme"' in page
    reply = staff.send("/add/", {"sku": "WEB-FIELD-2", "barcode": "4006381333932", "photos": [photo(192)]})
    assert re.search(r'id="barcode-problem">[^<]*4006381333932', reply.get_data(as_text=True))


def test_all_photos_that_cant_be_used_are_named(staff) -> None:
    wrong = [(io.BytesIO(b"text"), "a.jpg"), (io.BytesIO(b""), "b.png"), photo(193)]
    told = staff.send("/add/", {"sku": "WEB-NONE", "photos": wrong}, script=True).get_json(force=True)
    assert [(one["filename"], one["code"]) for one in told["photos"]] == [("a.jpg", "not_an_image"), ("b.png", "empty")]
    assert "a.jpg" not in told["photos"][0]["detail"]
    wrong = [(io.BytesIO(b"text"), "a.jpg"), (io.BytesIO(b""), "b.png")]
    page = text(staff.send("/add/", {"sku": "WEB-NONE", "photos": wrong}))
    assert "a.jpg:" in page and "b.png:" in page, "without a script, too"


def test_what_needs_work_is_shown_with_what_it_is_mistaken_for(staff, catalog: Catalog) -> None:
    put_look_alikes(catalog)
    margins.refresh(catalog, catalog.generations.ready())
    page = text(staff.get("/needs-work/"))
    assert "Name of PEAR PEAR 1 of its 2 photos looks more like another product." in page
    assert "looks like Name of APPLE" in page
    for sku in (PEAR, APPLE):
        products.purge(catalog, sku, actor="test")
    assert "Name of PEAR" not in text(staff.get("/needs-work/"))
