"""The inbox from a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from catalog.catalog import Catalog
from catalog.recognition import recognize
from tests.support.commands import Run, one_line
from tests.support.pictures import encode, picture

#: Pictures that 1.jpg does not match, and that are unlike one another (see tests/catalog/inbox).
STRANGER, OTHER = 4003, 4007


def till(open_catalog: Callable[[], Catalog], *asked: tuple[int, int]) -> None:
    """A till asks about pictures: seed, and quality that it is saved with."""
    catalog = open_catalog()
    for seed, quality in asked:
        recognize(catalog, encode(picture(seed), quality=quality), asked_by="key till", keep=True)
    catalog.close()


def listed(run: Run, *options: str) -> list[list[str]]:
    return [line.split("\t") for line in run("feedback", *options).stdout.splitlines()]


def test_what_was_not_recognized_is_listed_and_added(
    run: Run, open_catalog: Callable[[], Catalog], tmp_path: Path
) -> None:
    run("add", "TEA", "1.jpg")
    assert listed(run) == []
    till(open_catalog, (STRANGER, 90), (STRANGER, 70), (STRANGER, 50), (OTHER, 90))
    (other, _, once, decision, near), (group, _, times, *_) = listed(run)
    assert (once, times, decision) == ("1 time", "3 times", "unknown")
    assert near.startswith("TEA 0.")
    assert [row[0] for row in listed(run, "--frequent")] == [group, other]
    run("feedback", group, "--save", "look")
    assert len(list((tmp_path / "look").glob("*.jpg"))) == 3
    assert run("feedback", group, "--is", "TEA").stdout == "TEA: 1 photo added; 2 more are recognized now\n"
    (tmp_path / "next.jpg").write_bytes(encode(picture(STRANGER), quality=80))
    assert run("recognize", "next.jpg").stdout.startswith("next.jpg: match (TEA")
    assert [row[0] for row in listed(run)] == [other]
    assert run("feedback", other, "--new", "JUICE", "--name", "Juice").stdout == "JUICE: 1 photos added\n"
    assert listed(run) == []
    assert "JUICE\tJuice\t1 photos" in run("list").stdout


def test_what_is_not_ours_or_bad(run: Run, open_catalog: Callable[[], Catalog]) -> None:
    run("add", "TEA", "1.jpg")
    till(open_catalog, (STRANGER, 90), (OTHER, 90))
    (other, *_), (group, *_) = listed(run)
    run("feedback", group, "--not-ours")
    run("feedback", other, "--bad")
    assert listed(run) == []
    till(open_catalog, (STRANGER, 60), (OTHER, 60))
    ((again, *_),) = listed(run)
    assert again != group


def test_what_can_not_be(run: Run, open_catalog: Callable[[], Catalog]) -> None:
    run("add", "TEA", "1.jpg")
    till(open_catalog, (STRANGER, 90))
    ((group, *_),) = listed(run)
    for words in ((group,), (group, "--bad", "--not-ours"), ("--bad",)):
        assert "name a group" in run("feedback", *words, status=2).stderr
    assert "no group" in one_line(run("feedback", "zz", "--bad", status=1))
    assert "NOBODY" in one_line(run("feedback", group, "--is", "NOBODY", status=1))
    assert "exists" in (said := one_line(run("feedback", group, "--new", "TEA", status=1))) or "already" in said
    assert len(listed(run)) == 1


def test_the_key_whose_photos_are_not_kept(run: Run) -> None:
    run("key", "create", "till")
    run("key", "inbox", "1", "off")
    assert run("key", "list").stdout.rstrip().endswith("active, may recognize, no photos kept")
    run("key", "inbox", "1", "on")
    assert run("key", "list").stdout.rstrip().endswith("active, may recognize")
    assert "no key 9" in one_line(run("key", "inbox", "9", "on", status=1))
