"""Words that go with numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from web.words import counted

TEMPLATES = Path(__file__).parents[2] / "web" / "templates"
#: A number, and after it a word for several things that does not ask how many there are.
NUMBER = r"(?:\|length|count|counts[\w.]*|total|photos|products)\)? \}\}"
SEVERAL = re.compile(rf"{NUMBER} (?:photos|products|groups|lines)\b")


@pytest.mark.parametrize(
    ("number", "word", "plural", "expected"),
    [
        (0, "photo", "", "0 photos"),
        (1, "photo", "", "1 photo"),
        (2, "photo", "", "2 photos"),
        (12345, "product", "", "12,345 products"),
        (1, "photo was", "photos were", "1 photo was"),
        (3, "photo was", "photos were", "3 photos were"),
    ],
)
def test_one_thing_and_several(number: int, word: str, plural: str, expected: str) -> None:
    assert counted(number, word, plural) == expected


def test_no_page_says_1_photos() -> None:
    assert SEVERAL.search("{{ job.counts.photos }} photos") and SEVERAL.search(
        '{{ "{:,}".format(found.photos) }} photos'
    )
    said = {path.name: SEVERAL.findall(path.read_text()) for path in TEMPLATES.rglob("*.html")}
    assert {name: found for name, found in said.items() if found} == {}
