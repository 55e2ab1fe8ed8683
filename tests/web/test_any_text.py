"""Any text in any parameter of every route, on both databases: no answer is a 5xx.

The routes are those of the app, the names of parameters those that the code reads and those of the log.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from tests.support.pictures import jpeg
from web import create_app
from web.security import limiter

NAME, PASSWORD, SKU, GTIN = "anna", "correct horse battery", "TEA-1", "4006381333931"
WEB = Path(__file__).parents[2] / "web"
READ = re.compile(r'(?:args|form|values|given|wanted)(?:\.get(?:list)?\(|\[)"(\w+)"|flag\("(\w+)"')
#: What the pages and the API read of a request, and more.
FIELDS = sorted(
    {"".join(names) for path in WEB.rglob("*.py") for names in READ.findall(path.read_text())}
    | {"page", "sort", "id", "url", "action", "anyway", "csrf_token"}
    | {"left", "top", "right", "bottom"}
)
FILES = ("photo", "photos")
#: Texts that databases, headers, paths and numbers take badly.
BAD = (
    *(
        "",
        " ",
        "\x00",
        "a\x00b",
        "\r\nX-Evil: 1",
        "/\r\nX-Evil: 1",
        "\x1b[2J",
        "\u202e",
        "\ufdd0",
        "\U0010ffff",
        "\udfff",
    ),
    *("-1", "0", "2147483648", "99999999999999999999", "1e999", "nan", "-0", "٣", "1_0", "true"),
    *("%", "%00", "%%", "_", "\\", "'", '"', "{{7*7}}", "{0}", "%s", "../../etc/passwd", "/", "//[", "?#"),
    *("e\u0301", "ß", "İ", "ﬁ", "x" * 5000, SKU, GTIN, NAME, PASSWORD, f"{SKU}\x00"),
)
texts = st.one_of(st.sampled_from(BAD), st.text(max_size=30))
#: With what is right among them, a request gets further than to the first check.
values = st.one_of(st.sampled_from((SKU, GTIN, "1", "true", "false", "tea", NAME, PASSWORD)), texts)


class Site:
    """An app with a product, a user and a key, and a request to it that is signed in, each time."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._session: str | None = None
        accounts.add_user(catalog.database, NAME, PASSWORD, actor="test")
        self.key = accounts.add_key(catalog.database, "till", accounts.SCOPES, actor="test").key
        photo = NewPhoto("1.jpg", jpeg(1))
        products.create(catalog, Facts(SKU, barcodes=(GTIN,), labels=("tea",)), [photo], Intake("test"))
        self.app: Flask = create_app(catalog, "a key for tests only, long enough")
        self.app.config["WTF_CSRF_ENABLED"] = False  # it would stop each form before its fields are read
        self.calls = [
            (rule, method)
            for rule in self.app.url_map.iter_rules()
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        ]

        user = accounts.check_password(catalog.database, NAME, PASSWORD)
        assert user is not None
        self._user = user

    def ask(self, path: str, method: str = "GET", **sent: Any) -> TestResponse:
        """The answer to somebody who is signed in, unless signing in is what is asked for."""
        limiter.reset()
        client = self.app.test_client()
        if path != "/login":
            with client.session_transaction() as session:
                session["_user_id"] = self._token()
        reply = client.open(path, method=method, buffered=True, **sent)  # read and closed: it may be a file
        assert reply.status_code < 500, (method, path, sent, reply.get_data(as_text=True)[:500])
        assert "X-Evil" not in reply.headers
        return reply

    def _token(self) -> str:
        if self._session is None or accounts.session_user(self.catalog.database, self._session) is None:
            self._session = accounts.start_session(self.catalog.database, self._user)
        assert self._session is not None
        return self._session


@pytest.fixture
def site(open_catalog: Callable[[], Catalog]) -> Site:
    return Site(open_catalog())


def path_of(rule: Rule, fill: Callable[[str], str]) -> str:
    """The path of a route, its variables filled; one that must be a number or a UUID may get any text, too."""
    return re.sub(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>", lambda found: quote(fill(found[1]), errors="replace"), rule.rule)


@st.composite
def requests(draw: st.DrawFn, site: Site) -> tuple[str, str, dict[str, Any]]:
    """(path, method, the rest of a request)."""
    rule, method = draw(st.sampled_from(site.calls))
    path = path_of(rule, lambda name: draw(st.just(SKU) if name == "sku" and draw(st.booleans()) else values))
    lists = st.lists(values, min_size=1, max_size=2)
    sent: dict[str, Any] = {
        "query_string": {
            name: [one.encode(errors="replace") for one in given]
            for name, given in draw(st.dictionaries(st.sampled_from(FIELDS), lists, max_size=6)).items()
        },
        "headers": {},
    }
    for name in draw(st.sets(st.sampled_from(("X-Requested-With", "Referer", "Host", "Cookie", "Accept")), max_size=2)):
        plain = draw(texts).encode("latin-1", "replace").decode("latin-1")
        sent["headers"][name] = re.sub(r"[\r\n]", " ", plain)
    if path.startswith("/api/"):
        key = draw(st.sampled_from((site.key, site.key, site.key, "wrong", "\xff")))
        sent["headers"]["Authorization"] = f"Bearer {key}"
    if method == "POST":
        form: dict[str, Any] = draw(st.dictionaries(st.sampled_from(FIELDS), lists, max_size=8))
        for field in draw(st.sets(st.sampled_from(FILES))):
            data = draw(st.sampled_from((jpeg(1), jpeg(2), b"", b"no photo")))
            form[field] = (io.BytesIO(data), draw(texts).encode(errors="replace").decode())
        sent["data"] = {
            name: [one.encode(errors="replace").decode() for one in given] if isinstance(given, list) else given
            for name, given in form.items()
        }
        if draw(st.booleans()):
            sent["content_type"] = "multipart/form-data"
        elif draw(st.booleans()):
            sent["data"], sent["content_type"] = jpeg(1), draw(st.sampled_from(("image/jpeg", "multipart/form-data")))
    return path, method, sent


def ask_anything(site: Site, examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,  # a suite that passes once passes again
        database=None,
        deadline=None,
        phases=[Phase.generate],  # a failure tells the whole request; making it smaller would take minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(site))
    def ask(request: tuple[str, str, dict[str, Any]]) -> None:
        path, method, sent = request
        site.ask(path, method, **sent)

    ask()


def test_any_text_in_any_parameter(site: Site) -> None:
    ask_anything(site, 120)


@pytest.mark.slow
def test_much_more_of_it(site: Site) -> None:
    ask_anything(site, 800)


def test_what_databases_take_badly_in_every_route(site: Site) -> None:
    """Every route, with the bad text in each variable of its path, and in every parameter at once."""
    for bad in ("a\x00b", "-1", "99999999999999999999", "/\r\nX-Evil: 1"):
        every = dict.fromkeys(FIELDS, bad)
        for rule, method in site.calls:
            sent: dict[str, Any] = {"query_string": every, "headers": {"Authorization": f"Bearer {site.key}"}}
            for fill in {bad, SKU} if "<sku>" in rule.rule else {bad}:
                path = path_of(rule, lambda name, fill=fill, bad=bad: fill if name == "sku" else bad)
                site.ask(path, method, **sent, **({"data": every} if method == "POST" else {}))


def test_signing_in_with_any_next(site: Site) -> None:
    for bad in (bad for bad in BAD if "/" in bad or not bad.isprintable()):
        where = {"next": bad.encode(errors="replace")}
        reply = site.ask("/login", "POST", query_string=where, data={"name": NAME, "password": PASSWORD})
        assert reply.status_code == 302, bad


def test_routes_of_tills_answer_the_same_on_each_database(site: Site) -> None:
    till = {"Authorization": f"Bearer {site.key}"}
    client = site.app.test_client()
    for query in ("label=a%00b", "sku=a%00b", "label=tea&label=%00", "sku=%ed%a0%80", "label=nothing"):
        reply = client.post(f"/api/v1/recognize?{query}", data=jpeg(1), headers=till)
        assert (reply.status_code, reply.get_json(force=True)["code"]) == (422, "invalid_input"), query
    reply = client.post("/api/v1/recognize?label=tea", data=jpeg(1), headers=till)
    assert reply.get_json()["matches"][0]["sku"] == SKU


def test_a_host_that_is_none(site: Site) -> None:
    for host in ("x" * 500, "a..b", "\xff", "a b", "[", "a:b", ""):
        for path in ("/login", "/products/", "/health", "/none"):
            assert site.ask(path, headers={"Host": host}).status_code in (200, 302, 400, 404), host


def test_the_audit_log_takes_any_search_and_page(site: Site) -> None:
    for query in ("search=a%00b", "before=-1", "before=99999999999999999999", "before=2147483648", "before=x"):
        assert site.ask(f"/audit/?{query}").status_code == 200, query
    shown = site.ask("/audit/?search=TEA%00&before=9999999999").get_data(as_text=True)
    assert "Added" in shown, "as if there were no limit"
    assert "Added" not in site.ask("/audit/?before=0").get_data(as_text=True)
