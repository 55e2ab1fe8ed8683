"""Products and their photos."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from web.api.schemas.texts import GTIN, PLAIN, SEEN, SHA256


class LookAlike(BaseModel):
    """A photo of another product."""

    sku: str
    name: str
    photo: str = Field(pattern=SHA256, description="Its SHA-256.")
    points: int | None = Field(description="How many details agree; null: it is the same file.")


class PhotoWarning(BaseModel):
    """A warning about a photo."""

    code: Literal[
        "too_small", "too_dark", "too_bright", "too_blurred", "same_picture", "same_pack", "close_to_other"
    ] = Field(description="Stable.")
    message: str = Field(description="A sentence for people.")
    sku: str = Field(description="The product that it is about; empty when it is about none.")
    name: str
    photo: str = Field(description="SHA-256 of that product's photo.")
    closeness: float | None = Field(description="Cosine of the two photos, at most 1.")
    points: int | None = Field(description="How many details of the two agree.")


class Photo(BaseModel):
    """What became of one photo."""

    id: UUID
    filename: str
    sha256: str = Field(pattern=SHA256)
    state: Literal["searchable", "pending"]
    details: int | None = Field(
        description="How many details the second look holds on to: few where nothing is printed; null: it has none."
    )
    duplicate: bool
    reason: str
    like: LookAlike | None = Field(description="Another product's photo that shows the same pack.")
    warnings: list[PhotoWarning] = Field(description="Warnings about the photo, which was accepted all the same.")


class FoundBarcode(BaseModel):
    """A barcode that was read from a photo. It is not added: a person decides whether it is the product's."""

    gtin: str = Field(pattern=GTIN, description="14 digits, zeros in front.")
    sku: str | None = Field(description="The product that has this barcode, if one has.")


class Added(BaseModel):
    """A product that was added, and the proof that it is found."""

    sku: str
    name: str
    searchable: bool = Field(description="Every photo finds itself at rank 1, asked of the gallery after the write.")
    milliseconds: float
    photos: list[Photo]
    barcodes: list[str] = Field(description="GTINs of the product: 14 digits each, zeros in front.")
    barcodes_found: list[FoundBarcode]


class StoredPhoto(BaseModel):
    """A reference photo of a product."""

    id: str
    sha256: str
    filename: str
    width: int = Field(description="In pixels, as displayed.")
    height: int
    bytes: int
    source: str = Field(description="How it came: staff, api, cli, import; empty: not known.")
    cover: bool = Field(description="It is shown first of the product.")
    warnings: list[str] = Field(description="Codes of the warnings with which it was accepted.")
    state: Literal["searchable", "pending"]
    reason: str = Field(description="Why it is pending.")
    created_at: datetime
    url: str
    file_url: str = Field(description="Its bytes, as they were sent.")


class Product(BaseModel):
    """A product."""

    sku: str
    name: str
    brand: str
    category: str
    variant_group: str
    labels: list[str]
    attributes: dict[str, str]
    barcodes: list[str] = Field(description="GTINs: 14 digits each, zeros in front.")
    active: bool = Field(description="false: it is retired, and not recognized.")
    searchable: bool = Field(description="It is active, has photos, and each of them is searchable.")
    photos: list[StoredPhoto] = Field(description="The cover first.")
    created_at: datetime
    updated_at: datetime = Field(description="When facts, labels or state were last changed.")
    etag: str = Field(description="For If-Match, quotes included.")
    url: str


class ProductList(BaseModel):
    """A part of the list."""

    products: list[Product]
    next: str | None = Field(description="The `cursor` of the next part; null at the end.")
    total: int | None = Field(description="Products of the whole list; null: more than 1,000.")


class PhotoList(BaseModel):
    """The photos of a product, the cover first."""

    photos: list[StoredPhoto]


class Deleted(BaseModel):
    """What was deleted is in the bin, for 30 days."""

    sku: str
    entry: str = Field(description="Its entry in the bin.")
    restore_url: str = Field(description="POST there undoes it.")


class CreateForm(BaseModel):
    """A new product with its photos."""

    model_config = ConfigDict(extra="forbid")

    sku: str = Field(min_length=1, max_length=64, pattern=SEEN)
    photos: list[bytes] = Field(min_length=1, max_length=50, description="Image files.")
    name: str = Field(default="", max_length=200, pattern=PLAIN)
    brand: str = Field(default="", max_length=100, pattern=PLAIN)
    category: str = Field(default="", max_length=100, pattern=PLAIN)
    variant_group: str = Field(default="", max_length=100, pattern=PLAIN)
    label: list[str] = Field(default=[], description="Sets to which recognition can be limited.")
    barcode: list[str] = Field(
        default=[], max_length=50, description="EAN, UPC or GTIN, as printed or as a scanner sends it."
    )
    strict: bool = Field(default=False, description="Refuse photos with warnings.")
