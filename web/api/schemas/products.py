"""Products and their photos."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LookAlike(BaseModel):
    """A photo of another product."""

    sku: str
    name: str
    photo: str = Field(description="Its SHA-256.")
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

    id: str
    filename: str
    sha256: str
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

    gtin: str = Field(description="14 digits, zeros in front.")
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


class CreateForm(BaseModel):
    """A new product with its photos."""

    model_config = ConfigDict(extra="forbid")

    sku: str = Field(min_length=1, max_length=64)
    photos: list[bytes] = Field(min_length=1, max_length=50, description="Image files.")
    name: str = Field(default="", max_length=200)
    brand: str = Field(default="", max_length=100)
    category: str = Field(default="", max_length=100)
    barcode: list[str] = Field(default=[], description="EAN, UPC or GTIN, as printed or as a scanner sends it.")
    strict: bool = Field(default=False, description="Refuse photos with warnings.")
