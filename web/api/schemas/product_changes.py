"""What programs say about products: bodies of requests, parameters in the address, and headers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from catalog.products import MAX_PHOTOS
from catalog.products.barcode_owners import MAX_BARCODES
from catalog.products.facts import MAX_ATTRIBUTES, MAX_LABELS
from web.api.schemas.checks import Brand, Category, Group, Gtin, Key, Label, Name, SentPhoto, Sku, Value

Labels = Annotated[list[Label], Field(max_length=MAX_LABELS)]
Barcodes = Annotated[list[Gtin], Field(max_length=MAX_BARCODES)]
Attributes = Annotated[dict[Key, Value], Field(max_length=MAX_ATTRIBUTES)]
_STRICT = Field(default=False, strict=True, description="Refuse photos with warnings.")
_BARCODES = "EAN, UPC or GTIN, as printed or as a scanner sends it."


class CreateBody(BaseModel):
    """A new product with its photos."""

    model_config = ConfigDict(extra="forbid")

    sku: Sku
    photos: list[SentPhoto] = Field(min_length=1, max_length=MAX_PHOTOS)
    name: Name = Field(default="", description="Empty: the SKU.")
    brand: Brand = ""
    category: Category = ""
    variant_group: Group = Field(default="", description="Joins products that differ in size or flavor alone.")
    labels: Labels = Field(default=[], description="Sets to which recognition can be limited.")
    attributes: Attributes = Field(default={}, description="Any other data.")
    barcodes: Barcodes = Field(default=[], description=_BARCODES)
    active: bool = Field(default=True, strict=True, description="false: it is retired, and not recognized.")
    strict: bool = _STRICT


class PutBody(BaseModel):
    """What a product is. What is left out stays as it is; an empty value empties it."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(default="", description="Empty: the SKU.")
    brand: Brand = ""
    category: Category = ""
    variant_group: Group = ""
    labels: Labels = Field(default=[], description="It has exactly these.")
    attributes: Attributes = Field(default={}, description="It has exactly these.")
    barcodes: Barcodes = Field(default=[], description=f"It has exactly these. {_BARCODES}")
    active: bool = Field(default=True, strict=True, description="false: retired, true: in the catalog (again).")
    photos: list[SentPhoto] = Field(
        default=[], max_length=MAX_PHOTOS, description="Added, unless it has them. Its other photos stay."
    )
    strict: bool = _STRICT


class PatchBody(BaseModel):
    """What is to change of a product, as a merge patch (RFC 7396): what is left out stays, null empties."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(default=None, description="Empty: the SKU.")
    brand: Brand | None = None
    category: Category | None = None
    variant_group: Group | None = None
    labels: Labels | None = Field(default=None, description="It has exactly these.")
    attributes: Annotated[dict[Key, Value | None], Field(max_length=MAX_ATTRIBUTES)] | None = Field(
        default=None, description="Those that are named change; null takes one away."
    )
    barcodes: Barcodes | None = Field(default=None, description=f"It has exactly these. {_BARCODES}")
    active: bool = Field(default=True, strict=True, description="false: retired, true: in the catalog (again).")


class RenameBody(BaseModel):
    """Another SKU for a product."""

    model_config = ConfigDict(extra="forbid")

    sku: Sku


class AddPhotosBody(BaseModel):
    """Photos for a product."""

    model_config = ConfigDict(extra="forbid")

    photos: list[SentPhoto] = Field(min_length=1, max_length=MAX_PHOTOS)
    strict: bool = _STRICT


class AddPhotosForm(BaseModel):
    """Photos for a product."""

    model_config = ConfigDict(extra="forbid")

    photos: list[bytes] = Field(min_length=1, max_length=MAX_PHOTOS, description="Image files.")
    strict: bool = _STRICT


class ReplacePhotoForm(BaseModel):
    """A photo in place of another one."""

    model_config = ConfigDict(extra="forbid")

    photo: bytes = Field(description="An image file.")
    strict: bool = _STRICT


class ReplacePhotoQuery(BaseModel):
    """Beside an image as the body."""

    strict: bool = _STRICT


class ProductsQuery(BaseModel):
    """Which products are listed: those that meet all conditions."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=200, description="Products in one answer, at most.")
    cursor: str = Field(default="", max_length=4000, description="`next` of the answer before.")
    search: str = Field(default="", max_length=500, description="Words of SKU, name, brand and category; or a barcode.")
    category: str = Field(default="", max_length=100)
    brand: str = Field(default="", max_length=100)
    label: str = Field(default="", max_length=64)
    variant_group: str = Field(default="", max_length=100)
    state: Literal["active", "retired", "all"] = "active"
    few_photos: int | None = Field(default=None, ge=1, le=1000, description="Those with fewer photos than this.")
    never_recognized: bool = Field(default=False, description="Those that no answer in the log matched.")
    with_warnings: bool = Field(default=False, description="Those with a photo whose warnings were overridden.")
    pending: bool = Field(default=False, description="Those with a photo that is not searchable yet.")
    sort: Literal["sku", "name", "newest"] = "sku"


_KEY = "A name for this request, as a UUID: repeated within 24 hours, it is done once and answered the same."
_IF_MATCH = "The product's ETag, as it was seen: if it was changed since, nothing is done (412)."


class CreateHeaders(BaseModel):
    """Headers of a request that adds something."""

    key: str = Field(default="", alias="Idempotency-Key", max_length=255, description=_KEY)


class ChangeHeaders(BaseModel):
    """Headers of a request that changes something."""

    key: str = Field(default="", alias="Idempotency-Key", max_length=255, description=_KEY)
    seen: str = Field(default="", alias="If-Match", description=_IF_MATCH)


class PutHeaders(BaseModel):
    """Headers of a request that puts something."""

    seen: str = Field(default="", alias="If-Match", description=_IF_MATCH)
    new: str = Field(default="", alias="If-None-Match", description="`*`: only add, never change (412).")


class ReadHeaders(BaseModel):
    """Headers of a request that reads something."""

    known: str = Field(default="", alias="If-None-Match", description="The ETag of what is known: 304 if it is that.")
