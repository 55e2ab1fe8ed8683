"""What schemathesis must know of the catalog under test to send requests that are right: its hooks.

The description says what a value looks like; that a label is one that a product has, or a photo one that can be
decoded, only the catalog knows.
"""

from __future__ import annotations

import base64
import itertools
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation

from tests.support import pictures

#: Products that the catalog under test has, with this label.
SKUS, LABEL = ("FUZZ-1", "FUZZ-2", "FUZZ-3"), "shelf"
BARCODE = "4006381333931"
#: Booleans of forms, and how they may be written.
FLAGS, WRITTEN = {"strict", "correct", "update", "check"}, ("", "0", "1", "true", "false")
#: Fields that are numbers.
NUMBERS = {"k", "limit", "offset", "page"}
PHOTO = pictures.jpeg(90, (128, 96))
PHOTOS = st.sampled_from([pictures.jpeg(seed, (96, 72)) for seed in range(8)])
#: What a body must hold beside what the description demands: a new product has a photo, an import a list.
NEEDED: dict[str, dict[str, Any]] = {
    "put_product": {"photos": [{"data": base64.b64encode(PHOTO).decode()}]},
    "create_import": {"files": [b"sku,name\nFUZZ-1,Product\n"]},
    "add_import_files": {"files": [b"sku"], "path": ["list.csv"], "offset": ["0"]},
}
new_skus = (f"NEW-{number}" for number in itertools.count())

for kind in ("image/*", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, PHOTOS)


def known(operation: str, name: str, value: Any, text: bool) -> Any:
    """A value that the catalog knows in place of one that only looks right; `text`: the body is JSON."""
    several = isinstance(value, list)
    if name in ("photo", "photos"):
        return [_photo(one, text) for one in value] if several else _photo(value, text)
    if name == "strict":
        return False
    if name in ("cursor", "name") and operation in ("list_products", "create_import"):
        return ""
    if name in ("label", "labels") and value:
        return [LABEL] * len(value) if several else LABEL
    if name == "sku" and operation in ("create_product", "rename_product"):
        return next(new_skus)
    if name == "sku" and value:
        return [SKUS[0]] * len(value) if several else SKUS[0]
    if name == "cursor":
        return ""
    if name == "photos" and isinstance(value, list) and value and isinstance(value[0], dict):
        return [{"data": base64.b64encode(pictures.jpeg(1, (96, 72))).decode()}]
    if name == "barcodes" and value:
        return []
    if name == "after":
        return "latest" if operation == "list_changes" else ""
    if operation == "create_import" and name == "map":
        return []
    if name == "barcode" and value:
        return [BARCODE] * len(value) if several else BARCODE
    return value


def _photo(value: Any, text: bool) -> Any:
    """A photo in place of bytes, of base64, or of an object that holds it."""
    if isinstance(value, dict):
        return {**value, "data": _photo("", text)}
    return base64.b64encode(PHOTO).decode() if text else PHOTO


def wrong(name: str, value: Any, place: ParameterLocation, case: Any) -> Any:
    """What is wrong in an object as what is wrong in a form or an address, too: all that they hold is text."""
    if place is ParameterLocation.BODY and "json" in str(case.media_type):
        return value
    if name in FLAGS:
        right = isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() not in WRITTEN)
        return value if right else "perhaps"
    if isinstance(value, list):
        return [one if isinstance(one, (str, bytes)) else "\x00" for one in value]
    return value if isinstance(value, (str, bytes)) or name in NUMBERS else "\x00"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make a request that is to be accepted one that can be; and what is wrong one that is wrong in a form."""
    meta = case.meta
    if meta is None:
        return
    operation = case.operation.definition.raw.get("operationId", "")
    is_right = meta.generation.mode.is_positive
    if is_right and case.headers is not None:
        for name in ("If-Match", "If-None-Match"):
            case.headers.pop(name, None)
        if "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = str(uuid.uuid4())  # else it is that of another request
        meta.update_validated_hash(ParameterLocation.HEADER, case._hash_container(case.headers))
    if is_right and operation == "put_product":  # a new SKU would need to be one by the catalog's rules
        case.path_parameters["sku"] = SKUS[2]
        meta.update_validated_hash(ParameterLocation.PATH, case._hash_container(case.path_parameters))
    for place, values in ((ParameterLocation.QUERY, case.query), (ParameterLocation.BODY, case.body)):
        if not isinstance(values, dict):
            continue
        if is_right:
            text = "json" in str(case.media_type)
            values.update({name: known(operation, name, value, text) for name, value in values.items()})
            if place is ParameterLocation.BODY:
                values.update(NEEDED.get(operation, {}))
            # It stays a right one: schemathesis would judge it anew, and takes no bytes for a string.
            meta.update_validated_hash(place, case._hash_container(case.get_container(place)))
        else:
            values.update({name: wrong(name, value, place, case) for name, value in values.items()})
