"""Fit of a product's margin: how far ahead of the second product its score must be before it is a match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Shrinkage, in answers: a margin that rests on this many is taken half of the way from the bundle's. On real photos 0
#: and 5 kept as many wrong matches away, and 5 cost fewer right ones (docs/measurements-margins.md).
SHRINKAGE = 5
#: A margin is this much above that of the last wrong match: equal margins would still match.
ABOVE = 1e-6


@dataclass(frozen=True)
class Answer:
    """A reference photo's answer with its own visit left out: `margin` of the product named over the second.

    `right`: it is the photo's own product. `rival`: the photo's product (an id, or any other name for it).
    """

    margin: float
    right: bool
    rival: object = None


@dataclass(frozen=True)
class FittedMargin:
    """A margin above the bundle's, and why: of `matches` answers by the bundle's margin, `wrong` were wrong.

    `rival` is the product whose photo was wrongly matched by the greatest margin that is now refused.
    """

    margin: float
    rival: object
    matches: int
    wrong: int


def fit_margin(answers: Sequence[Answer], usual: float, rate: float) -> FittedMargin | None:
    """The answers that name one product -> the least margin with which at most `rate` of its matches are wrong.

    `usual` is the bundle's margin; answers below it are no matches. The result is shrunk to it where there are few
    answers. None: the usual margin is enough.
    """
    matches = sorted((answer for answer in answers if answer.margin >= usual), key=lambda answer: answer.margin)
    wrong = sum(not answer.right for answer in matches)
    left, still_wrong, last = len(matches), wrong, None
    for answer in matches:
        if still_wrong <= rate * left:
            break
        left -= 1
        if not answer.right:
            still_wrong, last = still_wrong - 1, answer
    if last is None:
        return None
    weight = len(matches) / (len(matches) + SHRINKAGE)
    return FittedMargin(usual + weight * (last.margin + ABOVE - usual), last.rival, len(matches), wrong)
