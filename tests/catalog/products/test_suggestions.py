from __future__ import annotations

from catalog import products
from catalog.catalog import Catalog
from catalog.products import Facts, Intake
from tests.support.steps import shots


def test_what_products_have_is_suggested_the_most_frequent_first(catalog: Catalog) -> None:
    each = [("Best", "Tea", "x"), ("Acme", "Tea", "y"), ("Best", "", "y"), ("Gone", "Gone", "y")]
    for seed, (brand, category, label) in enumerate(each):
        facts = Facts(f"S{seed}", brand=brand, category=category, variant_group=category, labels=(label,))
        products.create(catalog, facts, shots(seed + 1), Intake("anna"))
    products.set_active(catalog, "S3", False, actor="anna")
    known = products.suggestions(catalog.database)
    assert known == products.Suggestions(["Best", "Acme"], ["Tea"], ["Tea"], ["y", "x"])
    assert products.suggestions(catalog.database, limit=1).brands == ["Best"]
