"""What a person types to find a product: words in any order, typing errors, the start of a SKU, a barcode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from catalog.normalization import SEARCH_LENGTH, folded, plain
from catalog.storage.tables import Product

#: Words of a search that count, at most.
WORDS = 16
#: Products that a search with typing errors adds, at most: those with the fewest errors.
SIMILAR = 200
#: Letters from which on a word may have one error, and two.
ONE_ERROR, TWO_ERRORS = 4, 8
#: Between the words of a product's text, as between those that are typed with blanks.
_BETWEEN = re.compile(r"[\s!-/:-@\[-`{-~]+")


@dataclass(frozen=True)
class Search:
    """A search: the folded text as it was typed, and its words."""

    text: str
    words: tuple[str, ...]

    def exact(self) -> ColumnElement[bool]:
        """Products whose text contains every word."""
        return and_(*(_contains(word) for word in self.words))

    def begins_sku(self) -> ColumnElement[bool]:
        """Products whose SKU begins with the whole text."""
        return Product.search.startswith(self.text, autoescape=True)


def understood(text: str) -> Search | None:
    """What a person typed, as a search; None where nothing is left of it."""
    given = folded("".join(one for one in re.sub(r"\s", " ", text[: 2 * SEARCH_LENGTH]) if plain(one)))
    words = tuple(dict.fromkeys(given.split()))[:WORDS]
    return Search(" ".join(given.split())[:SEARCH_LENGTH], words) if words else None


def misspelled(session: Session, search: Search, among: ColumnElement[bool]) -> list[str]:
    """SKUs of the products `among` that the search would find but for typing errors, those with the fewest first.

    One error in a word of 4 letters or more, two from 8 on: a letter too many, missing, another, or exchanged with the
    next one. A word with a digit has none: another number is another product.
    """
    forgiven = [_Forgiven(word, errors) for word in search.words if (errors := errors_allowed(word))]
    if not forgiven:
        return []
    exact = [_contains(word) for word in search.words if not errors_allowed(word)]
    near = [or_(*map(_contains, word.parts)) for word in forgiven]
    found: list[tuple[int, str]] = []
    for sku, text in session.execute(select(Product.sku, Product.search).where(among, *exact, *near)):
        words, made = _BETWEEN.split(text), 0
        for word in forgiven:
            errors = 0 if word.text in text else min(map(word.errors_in, words))
            if errors > word.most:
                break
            made += errors
        else:
            found.append((made, sku))
    return [sku for _, sku in sorted(found)[:SIMILAR]]


class _Forgiven(dict[str, int]):
    """A word that may have at most `most` errors: how many make a word of a product's text of it, if not more.

    Each word is compared once: products share theirs.
    """

    def __init__(self, word: str, most: int) -> None:
        self.text, self.most = word, most
        self.parts = tuple(kept_parts(word, most))
        self.errors_in = self.__getitem__

    def __missing__(self, other: str) -> int:
        errors = self.most + 1
        if any(part in other for part in self.parts):
            errors = distance(self.text, other[: len(self.text) + self.most], self.most)
        self[other] = errors
        return errors


def errors_allowed(word: str) -> int:
    """How many typing errors a word may have; none with a digit, or with signs as in many SKUs."""
    if any(one.isdecimal() for one in word) or _BETWEEN.search(word):
        return 0
    return (len(word) >= ONE_ERROR) + (len(word) >= TWO_ERRORS)


def kept_parts(word: str, errors: int) -> Iterator[str]:
    """Parts of a word, at least one of which is in every text that has the word with at most so many errors.

    Cut into one part more than there may be errors, one part has none; but two letters that are exchanged across a cut
    change both its parts, so these are in the list as they are then.
    """
    cuts = [len(word) * at // (errors + 1) for at in range(errors + 2)]
    yield from (word[start:end] for start, end in pairwise(cuts))
    if errors == 1:
        yield _exchanged(word, cuts[1])
        return
    yield _exchanged(word, cuts[1])[: cuts[2]]
    yield _exchanged(word, cuts[2])[cuts[1] :]
    yield _exchanged(_exchanged(word, cuts[1]), cuts[2])


def distance(word: str, other: str, most: int) -> int:
    """The fewest typing errors that make the start of `other` of `word`; more than `most` are not counted further."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(word, start=1):
        line = [row]
        for column, its in enumerate(other, start=1):
            least = min(last[column] + 1, line[column - 1] + 1, last[column - 1] + (letter != its))
            if row > 1 and column > 1 and letter == other[column - 2] and word[row - 2] == its:
                least = min(least, before[column - 2] + 1)
            line.append(least)
        if min(line) > most:
            return most + 1
        before, last = last, line
    return min(last)


def _exchanged(word: str, cut: int) -> str:
    return word[: cut - 1] + word[cut] + word[cut - 1] + word[cut + 1 :]


def _contains(word: str) -> ColumnElement[bool]:
    return Product.search.contains(word, autoescape=True)
