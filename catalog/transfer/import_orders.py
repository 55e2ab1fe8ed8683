"""Imports that programs start: all files at once or in pieces, and nobody is asked between the check and the import."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from catalog.catalog import Catalog
from catalog.errors import CatalogError, InvalidInputError
from catalog.transfer import import_jobs, product_csv
from catalog.transfer.import_jobs import Mode, Piece


def mode_of(mapping: Sequence[str], *, update_facts: bool, check_only: bool) -> Mode:
    """How a program wants its import. `mapping`: COLUMN=HEADER each, for columns that do not go by their own names.

    `check_only`: say what it would do. Raises InvalidInputError.
    """
    return Mode(not check_only, update_facts, product_csv.parse_mapping(*mapping))


def order(catalog: Catalog, name: str, pieces: Sequence[Piece], mode: Mode, *, actor: str) -> uuid.UUID:
    """Import files: a CSV, a CSV with photos, a zip of either. Right lines are imported, wrong ones are told.

    Raises what `import_jobs.upload` and `import_jobs.choose_columns` do; nothing is kept then.
    """
    job_id = import_jobs.upload(catalog, name, pieces, mode, actor=actor)
    try:
        _choose_columns(catalog, job_id)
    except CatalogError:
        import_jobs.cancel(catalog, job_id)
        raise
    return job_id


def complete(catalog: Catalog, job_id: uuid.UUID) -> None:
    """All pieces of an import were sent: it is checked, and goes on as it was ordered.

    One that was left before its columns were chosen, as by a killed process, goes on from there. Raises what
    `import_jobs.complete` and `import_jobs.choose_columns` do; nothing is kept of files that can't be imported.
    """
    job = import_jobs.get(catalog.database, job_id)
    if not (job.automatic and job.state == "columns"):
        import_jobs.complete(catalog, job_id)
    try:
        _choose_columns(catalog, job_id)
    except InvalidInputError:  # and not when another request has gone on with it
        import_jobs.cancel(catalog, job_id)
        raise


def _choose_columns(catalog: Catalog, job_id: uuid.UUID) -> None:
    """Read the list by the columns that were ordered, and those that go by their names."""
    job = import_jobs.get(catalog.database, job_id)
    if job.state != "columns":
        return
    ordered = dict(job.mapping)
    columns = import_jobs.columns(catalog, job).chosen
    kept = {column: header for column, header in columns.items() if header not in ordered.values()}
    import_jobs.choose_columns(catalog, job_id, {**kept, **ordered})
