"""Every role and every scope at every route, and what a page offers to whom."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import update
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from catalog import accounts, inbox, products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.storage.tables import ApiKey, now
from tests.support import pictures
from tests.support.staff import PASSWORD, Staff, csrf_of
from web import create_app
from web.access import OPEN, RULES, needed_role
from web.api.operation import operation_of
from web.security import limiter

#: Who need not be signed in: programs with a key, probes, files, and who is about to sign in.
FOR_ALL = {
    "api",
    "description",
    "health",
    "metrics",
    "static",
    "bootstrap",
    "login",
    "links",
    "home",
    "problems",
    "docs",
    "swagger_ui",
}
#: What is not there, by the converter of a variable in a path.
FILL = {"sku": "NO-SUCH", "int": "2000000000", "uuid": "00000000-0000-0000-0000-000000000000", None: "0" * 64}


def routes_of(app: Flask) -> Iterator[tuple[Rule, str]]:
    """(route, method) of all."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule, method


def path_of(rule: Rule) -> str:
    """The path of a route, for something that is not there."""
    return re.sub(r"<(?:(\w+)[^:>]*:)?\w+>", lambda found: FILL.get(found[1], "0"), rule.rule)


def operations_of(app: Flask) -> list[tuple[str, str, str]]:
    """(path, method, scope) of all operations of the API. Raises AssertionError for a route that says no scope."""
    found = []
    for rule, method in routes_of(app):
        said = operation_of(app.view_functions[rule.endpoint])
        is_api = rule.rule.startswith("/api/") or rule.endpoint.startswith("api.")
        assert is_api == (said is not None), f"{method} {rule.rule} says no scope: see web/api/operation.py"
        if said is not None:
            assert said.scope in accounts.SCOPES, f"{method} {rule.rule}: there is no scope {said.scope}"
            found.append((path_of(rule), method, said.scope))
    return found


def problem_of(client: FlaskClient, path: str, method: str, secret: str = "") -> tuple[int, str]:
    """Status and code of the answer."""
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    with client.open(path, method=method, headers=headers) as reply:  # closed: it may be a file
        body = reply.get_json(force=True, silent=True) if reply.status_code >= 400 else None
        return reply.status_code, (body or {}).get("code", "")


@pytest.fixture(scope="module", params=accounts.ROLES)
def member(request: pytest.FixtureRequest, app: Flask, catalog: Catalog) -> tuple[str, Staff]:
    """A role, and somebody who has it."""
    role: str = request.param
    limiter.reset()
    accounts.add_user(catalog.database, f"a {role}", PASSWORD, role=role, actor="test")
    return role, Staff(app.test_client(), f"a {role}", PASSWORD)


def test_every_route_has_a_rule(app: Flask) -> None:
    """A new page is named in web/access.py, or nobody can open it."""
    without = {rule.endpoint for rule, method in routes_of(app) if needed_role(rule.endpoint, method) is None}
    assert without == set()
    known = {name for rule, _ in routes_of(app) for name in (rule.endpoint, rule.endpoint.partition(".")[0])}
    assert known >= set(RULES) | OPEN, "no rule is left over"
    open_ones = {rule.endpoint.partition(".")[0] for rule, m in routes_of(app) if needed_role(rule.endpoint, m) == ""}
    assert open_ones == FOR_ALL


@pytest.mark.parametrize(
    ("endpoint", "method", "role"),
    [
        *(("products.index", "GET", "viewer"), ("products.show", "GET", "viewer"), ("inbox.index", "GET", "viewer")),
        *(
            ("pictures.show", "GET", "viewer"),
            ("try.ask", "POST", "viewer"),
            ("account.change_password", "POST", "viewer"),
        ),
        *(
            ("products.change", "POST", "editor"),
            ("products.delete_photo", "POST", "editor"),
            ("add.index", "GET", "editor"),
        ),
        *(("inbox.not_ours", "POST", "editor"), ("keys.index", "GET", "admin"), ("keys.add", "POST", "admin")),
        *(("people.index", "GET", "admin"), ("people.set_role", "POST", "admin"), ("audit.index", "GET", "admin")),
        *(("login.sign_out", "POST", ""), ("api.recognize", "POST", ""), ("forgotten.index", "GET", None)),
    ],
)
def test_the_least_role(endpoint: str, method: str, role: str | None) -> None:
    assert needed_role(endpoint, method) == role


def test_what_each_role_may_do(app: Flask, member: tuple[str, Staff]) -> None:
    role, staff = member
    token = csrf_of(staff.client, "/account/")
    for rule, method in routes_of(app):
        needed = needed_role(rule.endpoint, method)
        if not needed:
            continue
        limiter.reset()
        reply = staff.client.open(path_of(rule), method=method, data={"csrf_token": token} if method == "POST" else {})
        refused = reply.status_code == 403
        assert refused == (not accounts.covers(role, needed)), (rule.rule, method, reply.status_code)
        assert reply.status_code < 500 and "/login" not in (reply.location or "")


def test_nobody_is_let_in_without_signing_in(app: Flask, anybody: FlaskClient) -> None:
    token = csrf_of(anybody, "/login")
    for rule, method in routes_of(app):
        if needed_role(rule.endpoint, method):
            reply = anybody.open(path_of(rule), method=method, data={"csrf_token": token} if method == "POST" else {})
            if method == "POST":  # the form for signing in at once: what was typed goes through it
                assert reply.status_code == 401 and "<h1>Sign in</h1>" in reply.get_data(as_text=True), rule.rule
            else:
                assert reply.status_code == 302 and reply.location.startswith("/login"), rule.rule


def test_a_route_without_a_rule_is_closed_to_all(catalog: Catalog) -> None:
    app = create_app(catalog, "a key for tests only, long enough")
    app.add_url_rule("/forgotten", "forgotten.index", lambda: "secret")
    limiter.reset()
    reply = Staff(app.test_client()).get("/forgotten")
    assert reply.status_code == 403 and "secret" not in reply.get_data(as_text=True)


@pytest.mark.parametrize("scope", accounts.SCOPES)
def test_a_scope_opens_its_operations_and_no_others(app: Flask, catalog: Catalog, scope: str) -> None:
    secret = accounts.add_key(catalog.database, f"{scope} alone", [scope], actor="test").key
    opened = 0
    for path, method, needed in operations_of(app):
        status, code = problem_of(app.test_client(), path, method, secret)
        assert ((status, code) == (403, "scope_missing")) == (scope != needed), (path, method, status, code)
        assert status not in (401, 403) or scope != needed, (path, method, status, code)
        # The archive for offline tills is made when it is first asked for.
        assert status < 500 or code == "offline_bundle_building", (path, method, status, code)
        opened += scope == needed
    assert opened, "no operation has this scope any more"


def test_no_operation_opens_without_a_key_that_lives(app: Flask, catalog: Catalog, member: tuple[str, Staff]) -> None:
    """And none opens by a session, whatever the role is."""
    revoked, ended, replaced = (
        accounts.add_key(catalog.database, name, accounts.SCOPES, actor="test") for name in ("gone", "ended", "new")
    )
    accounts.revoke_key(catalog.database, revoked.id, actor="test")
    with catalog.database.write() as session:
        session.execute(update(ApiKey).where(ApiKey.id == ended.id).values(expires_at=now()))
    accounts.rotate_key(catalog.database, replaced.id, days=0, actor="test")
    refused = {
        "": "key_missing",
        "pc_unknown": "key_unknown",
        revoked.key: "key_unknown",
        ended.key: "key_expired",
        replaced.key: "key_expired",
    }
    for path, method, _ in operations_of(app):
        for secret, code in refused.items():
            assert problem_of(app.test_client(), path, method, secret) == (401, code), (path, method)
        assert problem_of(member[1].client, path, method) == (401, "key_missing"), (path, method)


def test_a_key_opens_no_page(app: Flask, till: FlaskClient) -> None:
    for rule, method in routes_of(app):
        if method == "GET" and needed_role(rule.endpoint, method):
            reply = till.get(path_of(rule))
            assert reply.status_code == 302 and reply.location.startswith("/login"), rule.rule


def test_an_operation_without_a_scope_is_found_and_closed_to_all(catalog: Catalog, key: str) -> None:
    for rule, endpoint in (("/api/v1/forgotten", "api.forgotten"), ("/forgotten", "api.forgotten")):
        app = create_app(catalog, "a key for tests only, long enough")
        assert operations_of(app)
        app.add_url_rule(rule, endpoint, lambda: "secret", methods=["GET", "POST"])
        with pytest.raises(AssertionError, match="forgotten says no scope"):
            operations_of(app)
        for secret in ("", key):
            for method in ("GET", "POST"):
                reply = app.test_client().open(rule, method=method, headers={"Authorization": f"Bearer {secret}"})
                assert reply.status_code in (400, 403) and "secret" not in reply.get_data(as_text=True)


def test_a_refusal_is_in_plain_words(app: Flask, member: tuple[str, Staff], catalog: Catalog) -> None:
    role, staff = member
    if role == "admin":
        return
    page = staff.get("/people/")
    assert page.status_code == 403
    assert f"signed in as a {role}" in page.get_data(as_text=True) and "ask an admin" in page.get_data(as_text=True)
    problem = staff.send("/keys/", {"name": "till"}, page="/account/", script=True)
    assert problem.content_type == "application/problem+json"
    assert (problem.status_code, problem.get_json(force=True)["code"]) == (403, "not_allowed")
    assert "till" not in [key.name for key in accounts.list_keys(catalog.database)]


def test_a_viewer_changes_nothing(app: Flask, catalog: Catalog) -> None:
    limiter.reset()
    accounts.add_user(catalog.database, "a looker", PASSWORD, role="viewer", actor="test")
    staff = Staff(app.test_client(), "a looker", PASSWORD)
    photo = NewPhoto("1.jpg", pictures.jpeg(901))
    products.create(catalog, Facts("ACCESS-1", "Tea"), [photo], Intake("test"))
    for target, form in (
        ("/products/ACCESS-1/facts", {"name": "Coffee", "version": "1"}),
        ("/products/ACCESS-1/active", {"active": "0"}),
    ):
        assert staff.send(target, form, page="/account/").status_code == 403
    product = products.get(catalog.database, "ACCESS-1")
    assert (product.name, product.active) == ("Tea", True)


def test_a_role_that_changes_changes_what_is_shown(app: Flask, catalog: Catalog) -> None:
    limiter.reset()
    accounts.add_user(catalog.database, "a riser", PASSWORD, role="viewer", actor="test")
    staff = Staff(app.test_client(), "a riser", PASSWORD)
    assert staff.get("/people/").status_code == 403
    accounts.set_role(catalog.database, "a riser", "admin", actor="test")
    assert staff.get("/people/").status_code == 200
    accounts.set_role(catalog.database, "a riser", "editor", actor="test")
    assert staff.get("/people/").status_code == 403 and staff.get("/add/").status_code == 200


def test_pages_offer_only_what_the_role_may_do(app: Flask, catalog: Catalog, member: tuple[str, Staff]) -> None:
    """Each form's target and each link of each page that the role may open."""
    role, staff = member
    sku = f"OFFER-{role}"
    products.create(catalog, Facts(sku, barcodes=()), [NewPhoto("1.jpg", pictures.jpeg(911))], Intake("test"))
    urls = app.url_map.bind("localhost")
    pages = [path_of(rule) for rule, method in routes_of(app) if method == "GET" and "<" not in rule.rule]
    seen = 0
    for page in [
        *pages,
        f"/products/{sku}",
        f"/products/{sku}?read=4006381333931",
        f"/people/{number_of(catalog, role)}",
    ]:
        if not page.startswith(("/openapi", "/health", "/metrics", "/logout")):
            html = staff.get(page).data.decode(errors="replace")  # the points of the map are no text
            targets = [(path, "GET") for path in re.findall(r'href="(/[^"?#]*)', html)]
            for form in re.findall(r'<form[^>]*method="post"[^>]*>', html):
                action = re.search(r'action="([^"?#]*)', form)
                targets.append((action.group(1) if action else page.partition("?")[0], "POST"))
            for path, method in targets:
                try:
                    endpoint, _ = urls.match(path, method)
                except HTTPException:
                    raise AssertionError(f"{page} has a link to nowhere: {path}") from None
                needed = needed_role(endpoint, method)
                assert needed == "" or (needed and accounts.covers(role, needed)), (page, path, method)
                seen += bool(needed)
    assert seen > 20


def number_of(catalog: Catalog, role: str) -> int:
    return accounts.get_person(catalog.database, f"a {role}").id


def test_the_inbox_is_shown_to_viewers_without_its_buttons(app: Flask, catalog: Catalog, till: FlaskClient) -> None:
    limiter.reset()
    noise = Image.effect_noise((320, 240), 90).convert("RGB")  # like no product and no group of other tests
    till.post("/api/v1/recognize", data=pictures.encode(noise, quality=90))
    catalog.unanswered.flush()
    assert inbox.groups(catalog.database, order="newest", start=0, limit=1).total
    accounts.add_user(catalog.database, "a reader", PASSWORD, role="viewer", actor="test")
    shown = Staff(app.test_client(), "a reader", PASSWORD).get("/inbox/").get_data(as_text=True)
    assert "Asked" in shown and "Not ours" not in shown and "New product" not in shown
