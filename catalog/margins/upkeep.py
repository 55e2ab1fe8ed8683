"""Upkeep of the margins: ask photos that changed, in the background, one product at a time."""

from __future__ import annotations

import logging
import uuid

from catalog.catalog import Catalog
from catalog.generations import LiveModel
from catalog.margins import evidence
from catalog.margins.evidence import Aim
from catalog.margins.leaving_out import ask
from catalog.progress import Progress, Steps, no_progress
from catalog.right_of_way import piece
from catalog.storage.tables import now

log = logging.getLogger(__name__)

#: Passes over the products that were touched by the pass before, at most; the first one alone asks all photos.
PASSES = 5


def aim_of(catalog: Catalog, model: LiveModel) -> Aim:
    """What the margins of a generation aim at."""
    usual = model.embedder.bundle.thresholds.margin
    return Aim(model.generation_id, usual, catalog.settings.wrong_matches)


def ask_product(catalog: Catalog, model: LiveModel, product_id: uuid.UUID) -> int:
    """Ask the photos of a product that were not asked or whose answer is stale; returns how many. Raises GalleryError.

    The searches run outside of any transaction; what they found is written in one short one.
    """
    asked_at = now()
    with piece():
        photos = evidence.unasked_photos(catalog.database, model.generation_id, product_id)
        stored = catalog.gallery.vectors(model.collection, [str(identity) for identity in photos.since])
    asked = [str(identity) for identity in photos.unasked if str(identity) in stored]  # the others' points are lost
    if not asked:
        return 0
    thresholds = model.embedder.bundle.thresholds
    answers = ask(catalog.gallery, model.collection, thresholds, str(product_id), stored, asked)
    by_id = {uuid.UUID(identity): answer for identity, answer in answers.items()}
    with piece():
        evidence.keep_answers(catalog.database, aim_of(catalog, model), product_id, by_id, photos, asked_at)
    return len(asked)


def refresh(catalog: Catalog, model: LiveModel, progress: Progress = no_progress, *, anew: bool = False) -> int:
    """Ask every photo of a generation that has no answer yet (with `anew`: every photo); returns how many were asked.

    `progress` counts products. If it is killed, the next run continues where it ended. Waits while another process
    does this. Raises GalleryError.
    """
    with catalog.database.alone(wait=True):
        return _refresh(catalog, model, progress, anew)


def _refresh(catalog: Catalog, model: LiveModel, progress: Progress, anew: bool) -> int:
    if anew:
        evidence.forget_answers(catalog.database, model.generation_id)
    aim, total = aim_of(catalog, model), 0
    # Those of a generation that is being built are settled for the live one, whose margins follow from them as well.
    while model.generation_id == catalog.generations.live().generation_id:
        if not evidence.settle_changes(catalog.database, aim):
            break
    for _ in range(PASSES):
        products = evidence.products_to_ask(catalog.database, model.generation_id)
        steps = Steps(progress, len(products))
        asked = 0
        for product_id in products:
            asked += ask_product(catalog, model, product_id)
            steps.advance()
        total += asked
        if not asked:
            break
    evidence.fit_all(catalog.database, aim)
    return total


class Upkeep:
    """The serving process's part: one small piece of work a call, and none when nothing has changed.

    Photos are looked for only after a noted change, at the start, and when another generation has become live.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._generation_id: int | None = None
        self._waiting: list[uuid.UUID] = []
        self._look = False

    def run(self) -> bool:
        """Do the next piece of work, if any, and if no other process is at it; returns whether there was one.

        Raises GalleryError, or what `Generations.ready` does.
        """
        with self._catalog.database.alone() as alone:
            return alone and self._run()

    def _run(self) -> bool:
        model = self._catalog.generations.ready()
        aim = aim_of(self._catalog, model)
        if model.generation_id != self._generation_id:
            evidence.fit_all(self._catalog.database, aim)
            self._generation_id, self._waiting, self._look = model.generation_id, [], True
        if self._waiting:
            # Photos near a fresh one are asked again: see keep_answers.
            self._look |= ask_product(self._catalog, model, self._waiting.pop()) > 0
            return True
        if evidence.settle_changes(self._catalog.database, aim):
            self._look = True
            return True
        if self._look:
            self._look = False
            self._waiting = evidence.products_to_ask(self._catalog.database, model.generation_id)
            return bool(self._waiting)
        return False
