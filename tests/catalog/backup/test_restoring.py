"""What a restore refuses, and what it leaves when it fails."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog import accounts, maintenance, products
from catalog.backup import archive, back_up, restore, table_rows
from catalog.backup.archive import ArchiveError
from catalog.backup.restoring import NotEmptyError
from catalog.catalog import Catalog
from catalog.storage.revision import HEAD
from embedder.bundle import RELEASED, load_bundle
from tests.support.backups import content
from tests.support.steps import all_found, create_each


def refused(target: Catalog, path: Path, match: str) -> None:
    with pytest.raises(ArchiveError, match=match):
        restore(target, path, actor="test")
    with target.database.read() as session:
        assert table_rows.filled(session.connection()) == {}


def test_a_backup_that_was_cut_anywhere_is_refused(catalog: Catalog, target: Catalog, out: Path) -> None:
    create_each(catalog, 1)
    back_up(catalog, out)
    whole = out.read_bytes()
    end = whole.rindex(b"manifest.json")
    for size in (0, 1, 511, 512, 700, 1024, 5000, len(whole) // 2, end - 1, end, end + 512, end + 600):
        out.write_bytes(whole[:size])
        refused(target, out, "backup")
    assert not (target.settings.data / "photos").exists()
    out.write_bytes(b"no tar at all" * 1000)
    refused(target, out, "can't be read")
    out.write_bytes(whole)
    restore(target, out, actor="test")


def test_a_backup_in_which_a_byte_changed_is_refused(catalog: Catalog, target: Catalog, out: Path) -> None:
    create_each(catalog, 1)
    back_up(catalog, out)
    whole = out.read_bytes()
    with tarfile.open(out) as tar:
        places = [member.offset_data + member.size // 2 for member in tar if member.size > 10]
        places += [member.offset + 3 for member in tar]  # in its name
    for place in places:
        out.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        refused(target, out, "backup")


def tampered(whole: Path, to: Path, change: Callable[[str, bytes], bytes | None], *more: tarfile.TarInfo) -> Path:
    """A copy with members changed or left out (None) and others added before the end, its manifest made to fit."""
    contents = archive.Contents()
    with tarfile.open(whole) as old, tarfile.open(to, "w") as new:
        for member in old:
            data = old.extractfile(member).read()  # type: ignore[union-attr]
            changed = change(member.name, data)
            if member.name == "manifest.json":
                for info in more:
                    new.addfile(info, io.BytesIO(b"x" * info.size) if info.isreg() else None)
                manifest = json.loads(changed or b"{}")
                manifest.pop("sha256", None)
                manifest["contents"] = contents.as_dict()
                changed = json.dumps({**manifest, "sha256": archive._digest(manifest)}).encode()
            elif changed is not None:
                contents.note(member.name, hashlib.sha256(changed).hexdigest(), len(changed))
            if changed is not None:
                info = tarfile.TarInfo(member.name)
                info.size = len(changed)
                new.addfile(info, io.BytesIO(changed))
    return to


def evil(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


@pytest.mark.parametrize(
    "info",
    [
        evil("/etc/escaped", size=1),
        evil("../escaped", size=1),
        evil("photos/../../escaped", size=1),
        evil("bundles/000000000000/../escaped", size=1),
        evil("bundles/000000000000/.hidden", size=1),
        evil("photos/" + "0" * 64, tarfile.SYMTYPE, "/etc/passwd"),
        evil("photos/" + "0" * 64, tarfile.LNKTYPE, "about.json"),
        evil("photos", tarfile.DIRTYPE),
        evil("photos/" + "0" * 64, tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name[:40]}-{info.type.decode()}",
)
def test_names_that_a_backup_never_has(catalog: Catalog, target: Catalog, out: Path, info: tarfile.TarInfo) -> None:
    back_up(catalog, out)
    refused(target, tampered(out, out.with_name("evil.tar"), lambda name, data: data, info), "holds")
    assert not list(target.settings.data.parent.rglob("escaped"))


def test_a_forged_backup_is_an_error_and_not_half_a_catalog(catalog: Catalog, target: Catalog, out: Path) -> None:
    """Every sum fits, yet what is in it can't be used."""
    create_each(catalog, 1)
    back_up(catalog, out)
    copy = out.with_name("forged.tar")

    def rewritten(member: str, old: bytes, new: bytes) -> Path:
        changed: list[bool] = []

        def change(name: str, data: bytes) -> bytes:
            changed.append(name == member and old in data)
            return data.replace(old, new) if name == member else data

        tampered(out, copy, change)
        assert any(changed)
        return copy

    product = "tables/product/000000"
    for new in (b'"version":"x', b'"no_column":"', b'"sku":null,"a":"'):
        refused(target, rewritten(product, b'"name":"', new), "rows do not fit")
    refused(target, rewritten(product, b'{"id"', b'["id"'), "rows do not fit")
    refused(target, rewritten("tables/photo/000000", b'"product_id":"', b'"product_id":"0'), "rows do not fit")
    refused(target, rewritten("manifest.json", b'"product": 1', b'"product": 2'), "not hold as many rows")
    refused(target, rewritten("manifest.json", b'"rows"', b'"lines"'), "does not say what it holds")
    refused(target, rewritten("about.json", b'"format": 1', b'"format": 2'), "format 2")
    refused(target, rewritten("about.json", HEAD.encode(), b"9999"), "newer version")
    refused(target, rewritten("about.json", HEAD.encode(), b"'"), "newer version")

    def unknown(name: str, data: bytes) -> bytes:
        return data.replace(b'"product": 1', b'"product": 1, "goods": 1') if name == "manifest.json" else data

    refused(target, tampered(out, copy, unknown), "rows of goods")
    refused(target, tampered(out, copy, lambda name, data: None if name.startswith("tables/photo") else data), "rows")
    refused(target, tampered(out, copy, lambda name, data: None if name == "about.json" else data), "description")
    bundle = f"bundles/{load_bundle(RELEASED).id}/bundle.json"
    refused(target, tampered(out, copy, lambda name, data: None if name == bundle else data), "can't be used")
    restore(target, out, actor="test")  # which what was refused does not stand in the way of


def test_a_backup_of_an_older_schema(catalog: Catalog, target: Catalog, out: Path) -> None:
    """What came since has its defaults: so a backup made at revision 0001 can be restored."""
    create_each(catalog, 1)
    back_up(catalog, out)
    since = {"product": ("variant_group", "attributes"), "photo": ("source", "status", "warnings", "original", "crop")}

    def older(name: str, data: bytes) -> bytes:
        if name == "about.json":
            return data.replace(HEAD.encode(), b"0001")
        if name == "manifest.json":
            manifest = json.loads(data)
            for table in ("barcode", "label", "recognition", "feedback"):
                del manifest["rows"][table]
            return json.dumps(manifest).encode()
        table = name.split("/")[1] if name.startswith("tables/") else ""
        if table not in since:
            return data
        lines = [json.loads(text) for text in data.splitlines()]
        return b"\n".join(
            json.dumps({key: value for key, value in row.items() if key not in since[table]}).encode() for row in lines
        )

    restore(target, tampered(out, out.with_name("older.tar"), older), actor="test")
    photo = products.get(target.database, "S1").photos[0]
    assert (photo.status, photo.warnings, photo.crop, products.get(target.database, "S1").attributes) == (
        "accepted",
        [],
        None,
        {},
    )


def test_a_backup_of_a_schema_that_does_not_fit_any_more(
    catalog: Catalog, target: Catalog, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(catalog, out)
    copy = tampered(out, out.with_name("older.tar"), lambda name, data: data.replace(HEAD.encode(), b"0001"))
    monkeypatch.setattr("catalog.backup.restoring.ROWS_FIT_SINCE", "0002")
    refused(target, copy, "too old")


@pytest.mark.parametrize("what", ["product", "user", "key"])
def test_a_catalog_that_holds_something_is_left_alone(catalog: Catalog, target: Catalog, out: Path, what: str) -> None:
    create_each(target, 1)
    back_up(target, out)
    if what == "product":
        create_each(catalog, 2)
    elif what == "user":
        accounts.first_admin(catalog.database, "anna", "correct horse battery")
    else:
        accounts.add_key(catalog.database, "till", actor="test")
    before = content(catalog)
    with pytest.raises(NotEmptyError, match="not empty"):
        restore(catalog, out, actor="test")
    assert content(catalog) == before


def test_a_catalog_that_was_only_initialized_takes_a_backup(catalog: Catalog, target: Catalog, out: Path) -> None:
    create_each(target, 1)
    back_up(target, out)
    catalog.generations.ready()
    restore(catalog, out, actor="test")
    assert maintenance.rebuild(catalog, actor="test").photos == 1
    assert all_found(catalog, 1)


def test_a_restore_that_fails_half_way_can_be_repeated(
    catalog: Catalog, target: Catalog, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_each(catalog, 1, 2)
    back_up(catalog, out)
    real = table_rows.load
    calls: list[str] = []

    def failing(connection: Any, table: Any, *arguments: Any) -> int:
        calls.append(table.name)
        if table.name == "photo":
            raise KeyboardInterrupt
        return real(connection, table, *arguments)

    monkeypatch.setattr(table_rows, "load", failing)
    with pytest.raises(KeyboardInterrupt):
        restore(target, out, actor="test")
    assert "product" in calls
    with target.database.read() as session:
        assert table_rows.filled(session.connection()) == {}
    monkeypatch.undo()
    restore(target, out, actor="test")
    assert maintenance.rebuild(target, actor="test").photos == 2
    assert list(maintenance.examine(target)) == []
