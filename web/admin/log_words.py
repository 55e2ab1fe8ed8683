"""Entries of the audit log in words: what was done, to what, and what it was before."""

from __future__ import annotations

import re
from typing import Any

from catalog import products
from catalog.runs import KINDS as RUNS
from catalog.storage.tables import AuditEntry
from embedder.barcodes import gtin

#: Products of one change that are told.
SHOWN = 5
#: Actions of the audit log; `words_of` makes words of any other one.
NAMES = {
    "product.create": "Added",
    "product.change": "Changed",
    "products.change": "Bulk change",
    "products.undo": "Bulk change undone",
    "product.label": "Labels changed",
    "product.rename": "Renamed",
    "product.revert": "Reverted",
    "product.retire": "Retired",
    "product.restore": "Back in the catalog",
    "product.delete": "Deleted",
    "product.undelete": "Restored from the bin",
    "product.purge": "Deleted for good",
    "product.merge": "Merged with",
    "product.differ": "Told apart from",
    "barcode.add": "Barcode added",
    "barcode.remove": "Barcode removed",
    "photos.add": "Photos added",
    "photo.delete": "Photo deleted",
    "photo.undelete": "Photos restored from the bin",
    "photo.move": "Photo moved to",
    "photo.cover": "Another photo shown first",
    "photo.replace": "Photo replaced",
    "photo.crop": "Photo cropped",
    "photo.uncrop": "Whole photo back",
    "photo.rotate": "Photo rotated",
    "bin.empty": "Gone from the bin",
    "bin.delete": "Deleted for good from the bin",
    "inbox.not_ours": "Photos called not ours",
    "inbox.ours_again": "“Not ours” taken back",
    "inbox.discard": "Bad photos thrown away",
    "import.run": "Import begun",
    "import.again": "Import gone on with",
    "run.start": "Job asked for",
    "run.stop": "Job stopped",
    "gallery.rebuild": "Gallery filled again",
    "model.add": "Model added",
    "model.remove": "Model removed",
    "model.switch": "Model switched",
    "model.rollback": "Switched back to the model",
    "model.hold": "Model held",
    "night.end": "Night over",
    "golden.add": "Golden photo added",
    "golden.remove": "Golden photo removed",
    "catalog.restore": "Catalog restored from a backup",
    "user.add": "Person added",
    "user.invite": "Person invited",
    "user.accept": "Invitation accepted",
    "user.link": "New link made for",
    "user.password": "Password changed",
    "user.role": "Role changed",
    "user.enable": "Switched on again",
    "user.disable": "Switched off",
    "user.sign_in": "Signed in",
    "user.sign_in_failed": "Signing in failed",
    "user.sign_out": "Signed out",
    "key.add": "Key made",
    "key.rename": "Key renamed",
    "key.change": "Key changed",
    "key.rotate": "New secret for a key",
    "key.end_old": "Old secret of a key ended",
    "key.revoke": "Key revoked",
    "key.inbox": "Inbox for a key switched",
    "webhook.add": "Webhook added",
    "webhook.delete": "Webhook deleted",
    "webhook.pause": "Webhook paused",
    "webhook.resume": "Webhook resumed",
    "answer.judge": "Answer judged",
}
#: A row of an entry: the name of a value, before and after.
Row = tuple[str, str, str]
SHA256 = re.compile(r"[0-9a-f]{64}")


def words_of(action: str) -> str:
    """An action in words."""
    return NAMES.get(action) or action.replace(".", ": ").replace("_", " ").capitalize()


def actions_in_words(text: str) -> list[str]:
    """The actions whose words hold a text, in any capitals; none for no text."""
    wanted = text.strip().casefold()
    return [action for action, words in NAMES.items() if wanted in words.casefold()] if wanted else []


def subject_of(entry: AuditEntry) -> str:
    """What an entry is about; "" where that is only an id."""
    if entry.action.startswith("run.") and entry.subject in RUNS:
        return RUNS[entry.subject].title
    if entry.action.startswith(("inbox.", "import.")):
        return str((entry.after or {}).get("name", ""))
    return entry.subject


def rows_of(entry: AuditEntry) -> list[Row]:
    """What an entry recorded, as far as it is not the same before and after."""
    before, after = entry.before or {}, entry.after or {}
    if entry.action in products.BULK_ACTIONS:
        return _of_many(before, after)
    if change := products.change_of(entry):
        if change.differences:
            return list(map(_fact, change.differences))
        hidden = {"sku", "photo", "original", "crop", "restored", "differs_from"}
        before, after = ({name: side[name] for name in side if name not in hidden} for side in (before, after))
    names = [*before, *(name for name in after if name not in before)]
    rows = [(_name(name), _value(name, before.get(name)), _value(name, after.get(name))) for name in names]
    return [row for row in rows if row[1] != row[2]]


def _of_many(before: dict[str, Any], after: dict[str, Any]) -> list[Row]:
    """What several products were and are now: the first SHOWN, by SKU, and how many more."""
    had, has = before.get("products", {}), after.get("products", {})
    rows = []
    for sku, values in list(has.items())[:SHOWN]:
        facts = [_fact(each) for each in products.compared(had.get(sku) or {}, values)]
        rows += [(f"{sku}: {name}", was, now_is) for name, was, now_is in facts]
    if len(has) > SHOWN:
        rows.append(("…", "", f"{len(has) - SHOWN:,} more products"))
    if left := after.get("left"):
        rows.append(("changed since, and left", ", ".join(left), ""))
    return rows


def _fact(each: products.Difference) -> Row:
    was, now_is = (_value(each.field, side) for side in (each.before, each.after))
    return each.key or _name(each.field), was, now_is


def _name(field: str) -> str:
    return "kept in spite of" if field == "overruled" else field.replace("_", " ")


def _value(field: str, value: Any) -> str:
    """A value of an entry in words; "" for none."""
    if value in ("", [], {}, None):
        return ""
    if isinstance(value, bool):
        return ("in the catalog" if value else "retired") if field == "active" else "yes" if value else "no"
    if field == "overruled":  # warnings by photo
        return ", ".join(sorted({code.replace("_", " ") for codes in value.values() for code in codes}))
    if isinstance(value, dict):
        return "; ".join(f"{_shortened(name)}: {_value('', each)}" for name, each in value.items())
    if isinstance(value, list):
        if all(isinstance(each, str) and SHA256.fullmatch(each) for each in value):
            return str(len(value))  # files
        return ", ".join(_value(field, each) for each in value)
    if field == "barcodes":
        return gtin.printed_gtin(str(value))
    return _shortened(str(value))


def _shortened(text: str) -> str:
    return text[:12] if SHA256.fullmatch(text) else text
