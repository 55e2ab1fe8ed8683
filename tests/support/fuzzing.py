"""What schemathesis must know of the catalog under test to send requests that are right: its hooks.

The description says what a value looks like; that a label is one that a product has, or a photo one that can be
decoded, only the catalog knows.
"""

from __future__ import annotations

import itertools
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
PHOTOS = st.sampled_from([pictures.jpeg(seed, (96, 72)) for seed in range(8)])
new_skus = (f"NEW-{number}" for number in itertools.count())

for kind in ("image/*", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, PHOTOS)


def known(operation: str, name: str, value: Any) -> Any:
    """A value that the catalog knows in place of one that only looks right."""
    several = isinstance(value, list)
    if name == "strict":
        return False
    if name == "label" and value:
        return [LABEL] * len(value) if several else LABEL
    if name == "sku" and operation == "create_product":
        return next(new_skus)
    if name == "sku" and value:
        return [SKUS[0]] * len(value) if several else SKUS[0]
    if name == "after":
        return "latest" if operation == "list_changes" else ""
    if operation == "create_import" and name == "files":
        return [b"sku,name\nFUZZ-1,Product\n"]
    if operation == "create_import" and name == "map":
        return []
    if name == "barcode" and value:
        return [BARCODE] * len(value) if several else BARCODE
    return value


def wrong(name: str, value: Any, place: ParameterLocation, case: Any) -> Any:
    """What is wrong in an object as what is wrong in a form or an address, too: all that they hold is text."""
    if place is ParameterLocation.BODY and "json" in str(case.media_type):
        return value
    if name in FLAGS:
        return "perhaps" if isinstance(value, str) and value.strip().lower() in WRITTEN else value
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
    for place, values in ((ParameterLocation.QUERY, case.query), (ParameterLocation.BODY, case.body)):
        if not isinstance(values, dict):
            continue
        if meta.generation.mode.is_positive:
            values.update({name: known(operation, name, value) for name, value in values.items()})
            # It stays a right one: schemathesis would judge it anew, and takes no bytes for a string.
            meta.update_validated_hash(place, case._hash_container(case.get_container(place)))
        else:
            values.update({name: wrong(name, value, place, case) for name, value in values.items()})
