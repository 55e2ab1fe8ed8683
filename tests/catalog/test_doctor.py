from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from pictures import jpeg

from catalog import details, doctor, products
from catalog.cli import main
from catalog.facts import Facts
from catalog.products import NewPhoto
from catalog.service import Catalog


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    for sku, seeds in (("A", (1, 2)), ("B", (2, 3))):  # photo 2 is of both
        photos = [NewPhoto(f"{seed}.jpg", jpeg(seed)) for seed in seeds]
        products.create(catalog, Facts(sku), photos, actor="test")
    return catalog


def stored(catalog: Catalog, seed: int, kind: str = "") -> Path:
    from catalog.photos import content_hash

    sha256 = content_hash(jpeg(seed))
    return catalog.settings.data / "photos" / sha256[:2] / sha256[2:4] / (sha256 + kind)


def found(catalog: Catalog, **options: bool) -> list[tuple[str, str, bool]]:
    return sorted((one.sku, one.kind, one.mended) for one in doctor.examine(catalog, **options))


def test_a_sound_catalog_gives_no_finding_and_every_photo_is_looked_at_once(filled: Catalog) -> None:
    looked: list[int] = []
    assert not list(doctor.examine(filled, progress=looked.append))
    assert looked == [1, 1, 1]


def test_what_is_missing_is_found_and_details_are_made_again(filled: Catalog) -> None:
    kind = f".{details.KIND}"
    whole = stored(filled, 1, kind).read_bytes()
    stored(filled, 1, kind).unlink()
    stored(filled, 2, kind).write_bytes(b"SKUD but no more")
    stored(filled, 3).unlink()
    lost = ("B", "photo_missing", False)
    assert found(filled) == [("A", "details_missing", False), ("A", "details_missing", False), lost]
    assert not stored(filled, 1, kind).exists()
    assert found(filled, repair=True) == [("A", "details_missing", True), ("A", "details_missing", True), lost]
    assert stored(filled, 1, kind).read_bytes() == whole
    assert found(filled) == [lost]


def test_a_photo_whose_bytes_changed_is_told(filled: Catalog) -> None:
    path = stored(filled, 3)
    path.write_bytes(path.read_bytes()[:-1])
    assert found(filled, repair=True) == [("B", "photo_damaged", False)]


def test_pages_leave_nothing_out(filled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PAGE", 1)
    for seed in (1, 2, 3):
        stored(filled, seed, f".{details.KIND}").unlink()
    assert len(found(filled)) == 3


def test_the_command_says_what_is_amiss_and_its_exit_status_is_for_monitoring(
    filled: Catalog, env: dict[str, str]
) -> None:
    kind = f".{details.KIND}"
    stored(filled, 1, kind).unlink()
    filled.close()
    ask = CliRunner()

    def run(*words: str) -> tuple[int, str]:
        result = ask.invoke(main, ["doctor", "--quiet", *words], env=env)
        return result.exit_code, result.stdout

    status, said = run("--json")
    assert status == 1
    (finding,) = [json.loads(line) for line in said.splitlines()]
    assert (finding["kind"], finding["sku"], finding["mended"]) == ("details_missing", "A", False)
    assert run("--repair") == (0, f"A: mended: {finding['message']}\n1 findings, 1 mended\n")
    assert run() == (0, "0 findings, 0 mended\n")
