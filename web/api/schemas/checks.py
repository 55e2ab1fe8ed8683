"""Values of requests that the catalog checks: as fields of models, so that every one at fault is named."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, EncodedBytes, EncoderProtocol, Field
from pydantic_core import PydanticCustomError

from catalog.errors import InvalidInputError
from catalog.normalization import check_sku, checked_text
from catalog.products import barcode_owners
from catalog.products.facts import KEY_LENGTH, LABEL_LENGTH, LIMITS, VALUE_LENGTH, check_labels
from web.api.schemas import texts


def by(check: Callable[[str], Any]) -> AfterValidator:
    """A validator by a check of the catalog, which raises InvalidInputError; the text stays as it was sent."""

    def validate(value: str) -> str:
        try:
            check(value)
        except InvalidInputError as error:
            raise PydanticCustomError("invalid_input", "{reason}", {"reason": str(error)}) from None
        return value

    return AfterValidator(validate)


def _text(field: str, limit: int) -> AfterValidator:
    return by(lambda value: checked_text(field, value, limit))


#: Said, and checked by the catalog, whose words are better than a pattern.
_PLAIN: Any = {"pattern": texts.PLAIN}

Sku = Annotated[str, Field(min_length=1, max_length=64, json_schema_extra={"pattern": texts.SEEN}), by(check_sku)]
Name = Annotated[str, Field(max_length=LIMITS["name"], json_schema_extra=_PLAIN), _text("name", LIMITS["name"])]
Brand = Annotated[str, Field(max_length=LIMITS["brand"], json_schema_extra=_PLAIN), _text("brand", LIMITS["brand"])]
Category = Annotated[
    str, Field(max_length=LIMITS["category"], json_schema_extra=_PLAIN), _text("category", LIMITS["category"])
]
Group = Annotated[
    str,
    Field(max_length=LIMITS["variant_group"], json_schema_extra=_PLAIN),
    _text("variant_group", LIMITS["variant_group"]),
]
Label = Annotated[
    str,
    Field(max_length=LABEL_LENGTH, json_schema_extra={"pattern": r"^[^\x00-\x1f\x7f-\x9f|;]*$"}),
    by(lambda value: check_labels([value])),
]
Key = Annotated[
    str,
    Field(min_length=1, max_length=KEY_LENGTH, json_schema_extra={"pattern": texts.SEEN}),
    _text("attributes", KEY_LENGTH),
]
Value = Annotated[str, Field(max_length=VALUE_LENGTH, json_schema_extra=_PLAIN), _text("attributes", VALUE_LENGTH)]
Gtin = Annotated[str, Field(max_length=500), by(barcode_owners.check)]


class _Base64(EncoderProtocol):
    """Base64 (RFC 4648), which may be broken into lines. pydantic's own skips what is none."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        """The bytes. Raises an error of pydantic for what is no base64."""
        try:
            return base64.b64decode(b"".join(data.split()), validate=True)
        except binascii.Error as error:
            raise PydanticCustomError("base64", "It is no base64: {reason}.", {"reason": str(error)}) from None

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """The text."""
        return base64.b64encode(value)

    @classmethod
    def get_json_format(cls) -> str:
        """As the description calls it."""
        return "base64"


class SentPhoto(BaseModel):
    """A photo in JSON."""

    model_config = ConfigDict(extra="forbid")

    data: Annotated[bytes, EncodedBytes(encoder=_Base64)] = Field(description="The image file, in base64.")
    filename: str = Field(default="photo", max_length=255, description="For messages and people.")
