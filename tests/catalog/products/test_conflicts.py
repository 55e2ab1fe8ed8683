"""What two people did to the facts of one product."""

from __future__ import annotations

from dataclasses import replace

from catalog.products import Facts, conflicts

WAS = Facts("A", "Tea", "Best", "Drinks", (), "teas", ("x", "y"), {"size": "20", "color": "green"})


def test_what_only_they_changed_is_theirs_and_what_only_you_changed_is_yours() -> None:
    theirs = replace(WAS, brand="Better", labels=("x", "y", "z"), attributes={"size": "25", "color": "green"})
    yours = replace(WAS, name="Green tea", labels=("y",), attributes={"size": "20", "color": "green", "new": "1"})
    merged, told = conflicts.merge_facts(WAS, theirs, yours)
    assert (merged.name, merged.brand, merged.category, merged.variant_group) == (
        "Green tea",
        "Better",
        "Drinks",
        "teas",
    )
    assert (merged.labels, merged.attributes) == (("y", "z"), {"size": "25", "color": "green", "new": "1"})
    assert [(c.field, c.key, c.was, c.theirs) for c in told] == [
        ("brand", "", "Best", "Better"),
        ("attributes", "size", "20", "25"),
        ("labels", "", "", "z"),
    ]
    assert not any(each.is_yours_too for each in told)


def test_what_both_changed_stays_as_you_typed_it_and_is_told_with_all_three() -> None:
    merged, told = conflicts.merge_facts(
        WAS, replace(WAS, name="Black tea", attributes={}), replace(WAS, name="Green tea", attributes={"size": "30"})
    )
    assert (merged.name, merged.attributes) == ("Green tea", {"size": "30"})
    by_key = {(each.field, each.key): each for each in told}
    name = by_key["name", ""]
    assert (name.was, name.theirs, name.yours, name.is_yours_too) == ("Tea", "Black tea", "Green tea", True)
    assert by_key["attributes", "size"].is_yours_too and not by_key["attributes", "color"].is_yours_too


def test_the_same_change_twice_is_no_conflict() -> None:
    merged, told = conflicts.merge_facts(WAS, replace(WAS, name="B", labels=()), replace(WAS, name="B", labels=()))
    assert (merged.name, merged.labels) == ("B", ())
    assert not any(each.is_yours_too for each in told)


def test_what_a_form_carried_comes_back() -> None:
    assert conflicts.from_dict("A", conflicts.as_dict(WAS)) == WAS
    assert conflicts.from_dict("A", {"labels": 3, "attributes": [1]}) == Facts(
        "A", variant_group="", labels=(), attributes={}
    )
