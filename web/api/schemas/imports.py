"""Imports of many products."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class ImportForm(BaseModel):
    """The files of an import, and how they are read."""

    model_config = ConfigDict(extra="forbid")

    files: list[bytes] = Field(
        default=[],
        description="One CSV, one CSV with the photos that it names, or one zip: of such a list with photos, or of a "
        "folder for each product, whose name is its SKU. None, if they are sent in pieces.",
    )
    name: str = Field(default="", max_length=200, description="What it is called; needed if no files come with it.")
    map: list[str] = Field(
        default=[], description="COLUMN=HEADER, for columns of the list that do not go by their own names."
    )
    update: bool = Field(default=False, description="Change the facts of products that are there, too.")
    check: bool = Field(default=False, description="Import nothing: say what would be left out.")


class ImportPieces(BaseModel):
    """Pieces of files: as many of `path` and `offset` as there are files."""

    model_config = ConfigDict(extra="forbid")

    files: list[bytes]
    path: list[str] = Field(description="Of the file within the import, as `shop/photos/1.jpg` or `products.zip`.")
    offset: list[int] = Field(description="Where in the file the piece begins, in bytes.")


class ImportProgress(BaseModel):
    """How far it is with what `state` says: photos, and products without photos."""

    done: int
    total: int


class ImportCounts(BaseModel):
    """What an import found and did."""

    lines: int = Field(description="Lines of the list, or folders.")
    products: int = Field(description="Products that were added.")
    photos: int = Field(description="Photos that were added.")
    changed: int = Field(description="Products whose facts were changed.")
    duplicates: int = Field(description="Photos that their products had.")
    ignored: int = Field(description="Lines that differ from their product, which stays as it is without `update`.")
    pending: int = Field(description="Photos that are not searchable yet.")
    left_out: int = Field(description="Errors: what was left out.")


class Import(BaseModel):
    """An import."""

    id: str
    name: str
    state: Literal[
        "uploading", "columns", "checking", "checked", "waiting", "running", "done", "cancelled", "failed"
    ] = Field(
        description="checking, then waiting and running, then done; or checked, if nothing is to be imported. "
        "uploading: pieces of files are awaited. columns: a person chooses columns in the pages."
    )
    created_at: AwareDatetime
    finished_at: AwareDatetime | None
    update: bool
    cancelling: bool = Field(description="It is to end, and has not ended yet.")
    files: int = Field(description="Files that are stored.")
    bytes: int = Field(description="Their size.")
    progress: ImportProgress
    counts: ImportCounts
    message: str = Field(description="Why it failed, or notes.")


class ImportFault(BaseModel):
    """What was left out, and why."""

    source: str | None = Field(description="`list.csv:3`, or a folder; null: of no line.")
    line: int | None
    sku: str | None
    error: str


class ImportErrors(BaseModel):
    """All that was left out, or would be: of the check until the import runs, then of the import itself."""

    errors: list[ImportFault]
