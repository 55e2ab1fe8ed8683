"""Imports that programs start: all files at once, and nobody is asked between the check and the import."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from catalog.catalog import Catalog
from catalog.errors import CatalogError
from catalog.transfer import import_jobs, product_csv
from catalog.transfer.import_jobs import Mode, Piece


def order(
    catalog: Catalog,
    name: str,
    pieces: Sequence[Piece],
    *,
    mapping: Sequence[str] = (),
    update_facts: bool = False,
    check_only: bool = False,
    actor: str,
) -> uuid.UUID:
    """Import files: a CSV, a CSV with photos, a zip of either. Right lines are imported, wrong ones are told.

    `mapping`: COLUMN=HEADER each, for columns that do not go by their own names. `check_only`: say what it would do.
    Raises what `import_jobs.upload` and `import_jobs.choose_columns` do; nothing is kept then.
    """
    chosen = product_csv.parse_mapping(*mapping)
    mode = Mode(automatic=not check_only, update_facts=update_facts)
    job_id = import_jobs.upload(catalog, name, pieces, mode, actor=actor)
    try:
        job = import_jobs.get(catalog.database, job_id)
        if job.state == "columns":
            columns = import_jobs.columns(catalog, job).chosen
            kept = {column: header for column, header in columns.items() if header not in chosen.values()}
            import_jobs.choose_columns(catalog, job_id, {**kept, **chosen})
    except CatalogError:
        import_jobs.cancel(catalog, job_id)
        raise
    return job_id
