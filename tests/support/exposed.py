"""What /metrics says, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def samples(text: str) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def value(text: str, name: str, **labels: str) -> float | None:
    """Of the one sample of that name with these labels; None if there is none."""
    found = [each.value for each in samples(text) if each.name == name and labels.items() <= each.labels.items()]
    assert len(found) < 2, found
    return found[0] if found else None
