"""A server, a browser and a signed-in person, for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browsing import CHROMIUM, SIZES, signed_in
from tests.support.served import Served, environment, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("e2e")
    with served(folder / "log", environment(CATALOG_DATA=str(folder / "data"))) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # No request leaves the machine: Chromium's own background services are off.
    quiet = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright (extra `dev`) is not installed")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*quiet, "--disable-component-update", "--disable-sync"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def session(browser: Any, server: Served) -> dict[str, Any]:
    """The cookies of a person who signed in."""
    return signed_in(browser, server)


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, browser: Any, server: Served, session: dict[str, Any]) -> Iterator[Any]:
    """Signed in; at the end the console must be free of errors."""
    context = browser.new_context(base_url=server.url, storage_state=session, **SIZES[request.param])
    page = context.new_page()
    page.set_default_timeout(30_000)
    errors: list[str] = []
    expected = "Failed to load resource"  # Chromium's own line for a 4xx reply, which some tests provoke
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" and expected not in m.text else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.size = request.param
    yield page
    context.close()
    assert errors == []
