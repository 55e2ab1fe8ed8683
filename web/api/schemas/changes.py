"""The feed of changes."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from catalog.storage.change_events import Type


class Change(BaseModel):
    """Something that changed. It names what to read anew, and holds no values."""

    id: str = Field(description="Names the change; also the cursor `after` it.")
    type: Type = Field(
        description="product.created: also one that came back out of the bin; its photos are not told one by one. "
        "product.merged: `was` is the SKU that is gone, all that it had is of `sku` now. generation.switched: another "
        "model answers. generation.held: a new one is worse than it, and a person is to decide. inbox.group_added: "
        "tills asked for something that is not recognized. night.ended: the nightly maintenance is over. New types may "
        "come: pass over those that you do not know."
    )
    at: AwareDatetime
    actor: Literal["key", "staff", "command"] = Field(
        description="What kind of actor did it: an API key, a person, or a command of an operator."
    )
    sku: str | None
    fields: list[str] = Field(
        description="Of product.changed: name, brand, category, variant_group, attributes, barcodes, labels, cover."
    )
    was: str | None = Field(
        description="The SKU before a renaming, or of the product that was merged; the photo that was replaced; the "
        "bundle that answered before."
    )
    photo: str | None = Field(description="SHA-256 of the photo.")
    bundle: str | None = Field(description="The bundle that answers now; of generation.held, the one that does not.")
    group: str | None = Field(description="The group of the inbox.")
    well: bool | None = Field(description="Of night.ended: whether nobody need look at it.")


class Changes(BaseModel):
    """A page of changes, the oldest first."""

    changes: list[Change]
    next: str = Field(description="`after` of the next page: keep it, also when there were no changes.")
    more: bool = Field(description="Whether there are more now.")


class ChangesQuery(BaseModel):
    """Which changes."""

    after: str = Field(
        default="",
        max_length=100,
        description="A cursor: `next` or the `id` of a change; `latest`: from now on; left out: from the oldest change "
        "on that is kept.",
    )
    limit: int = Field(default=100, ge=1, le=1000)
