"""A model that is held, in a real browser: the page fits a phone, and a person removes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from catalog import maintenance
from catalog.catalog import Catalog
from catalog.config import Settings
from embedder.bundle import Bundle
from tests.support.browsing import MARKS, accessible, fits
from tests.support.judged import put_packs
from tests.support.served import Served, environment, served

pytestmark = MARKS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, worse_bundle: Bundle) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("e2e-judged")
    env = {"CATALOG_DATA": str(folder / "data")}
    with closing(Catalog.open(Settings.from_env(env))) as catalog:
        put_packs(catalog, 4)
        assert maintenance.reembed(catalog, worse_bundle).held
    with served(folder / "log", environment(**env)) as running:
        yield running


def test_a_held_model_is_looked_at(page: Any) -> None:
    page.goto("/overview/")
    fits(page)
    accessible(page, "/overview/ with a held model")
    page.locator("[aria-labelledby=held-1] a").click()
    page.wait_for_url("**/judgement")
    for summary in page.locator("main summary").all():
        summary.click()
        fits(page)
    accessible(page, "/models/…/judgement")
    assert page.locator(".judged-query img").count() >= 3
    page.goto("/models/")
    fits(page)
    accessible(page, "/models/ with a held model")
    assert page.locator(".model .badge", has_text="held").count() == 1


def test_what_is_asked_before_it_is_switched_to(page: Any) -> None:
    page.goto("/models/")
    page.get_by_role("link", name="Judgement").click()
    page.wait_for_url("**/judgement")
    button = page.get_by_role("button", name="Yes, switch to")
    assert not button.is_visible(), "one click alone changes nothing"
    page.get_by_text("Switch to it anyway").click()
    assert button.is_visible()
