"""An import in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.browsing import MARKS, accessible, fits, photo

pytestmark = MARKS


def test_a_list_with_photos_is_imported_after_a_look_at_each_line(page: Any, tmp_path: Path) -> None:
    sku, seed = (f"IMPORT-{page.size}-{'x' * 30}", 71 if page.size == "phone" else 73)
    lines = ["Artikel;photos;Bezeichnung", f"{sku};{seed}.jpg;Tea", f"W-{page.size};gone.jpg;Wrong"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    page.goto("/import/")
    page.set_input_files("#files", [photo(tmp_path, seed), tmp_path / "list.csv"])
    page.click("[data-submit]")
    page.select_option("#column_sku", "Artikel")
    page.select_option("#column_name", "Bezeichnung")
    fits(page)
    accessible(page, "columns of an import")
    page.click("text=Check the lines")
    page.locator(".import-lines").wait_for()
    assert "gone.jpg" in page.inner_text(".import-lines")
    fits(page)
    accessible(page, "preview of an import")
    page.click("text=Import what is right")
    page.locator("text=1 product and 1 photo added").wait_for()
    fits(page)
    accessible(page, "an import that is done")
    page.goto("/import/")
    assert "list.csv (2 files)" in page.inner_text(".imports")
    page.goto(f"/products/{sku}")
    assert "Tea" in page.inner_text("h1")
