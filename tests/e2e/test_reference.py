"""The page /docs: it runs under the pages' policy, and a photo can be recognized from it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.support import browsing
from tests.support.served import Served, environment, run

pytestmark = browsing.MARKS


def test_a_photo_is_recognized_from_the_reference(page: Any, server: Served, tmp_path: Path) -> None:
    """The fixture `page` fails for any error on the console: a violation of the policy is one."""
    data = re.search(r"Catalog in (\S+)", server.said)
    assert data
    key = run(["key", "create", f"reference {page.size}"], environment(CATALOG_DATA=data[1])).stdout.strip()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/docs")
    page.wait_for_selector(".opblock")
    browsing.shoot(page)
    page.click("button.authorize")
    page.fill(".auth-container input", key)
    page.click(".modal-ux button[type=submit]")
    page.click(".modal-ux .btn-done")
    page.click("#operations-Recognizing-recognize .opblock-summary-control")
    page.set_input_files("#operations-Recognizing-recognize input[type=file]", browsing.photo(tmp_path, 1))
    page.click("#operations-Recognizing-recognize .execute")
    answer = page.locator("#operations-Recognizing-recognize .live-responses-table .response")
    answer.wait_for()
    browsing.shoot(page)
    assert answer.locator(".response-col_status").inner_text().startswith("200")
    assert '"decision": "unknown"' in answer.inner_text()
    wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide[0] <= wide[1], "nothing is cut off at the side"
    assert all(url.startswith((server.url, "data:", "blob:")) for url in asked), "nothing is asked of other hosts"
