"""The doctor as a run: what it found, in the run's result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from catalog.catalog import Catalog
from catalog.maintenance import Finding, Severity, examine, severity
from catalog.runs.tasks import Outcome, Task

#: Findings that a run keeps, the worst first; all are counted.
KEPT = 200


def work(catalog: Catalog, task: Task) -> Outcome:
    """Check all, and mend as the options say: `repair`, `remove_orphans`, `remake`.

    Raises DatabaseUnavailableError or ConfigError.
    """
    mend = {name: bool(task.options.get(name)) for name in ("repair", "remove_orphans", "remake")}
    return outcome_of(list(examine(catalog, **mend, serving=True, progress=task.progress)))


def outcome_of(findings: Sequence[Finding]) -> Outcome:
    """What a run keeps of what the doctor found."""
    order: dict[Severity, int] = {"defect": 0, "unchecked": 1, "waste": 2, "mended": 3}
    listed = sorted(findings, key=lambda finding: order[severity(finding)])
    counts = Counter(map(severity, listed))
    kinds = Counter(finding.kind for finding in listed)
    result = {
        "counts": {name: counts[name] for name in order if counts[name]},
        "kinds": dict(kinds),
        "findings": [
            {name: value for name, value in asdict(finding).items() if value} | {"severity": severity(finding)}
            for finding in listed[:KEPT]
        ],
    }
    return Outcome(_said(counts), result)


def _said(counts: Counter[Severity]) -> str:
    words: dict[Severity, tuple[str, str]] = {
        "defect": ("thing is amiss", "things are amiss"),
        "unchecked": ("part could not be checked", "parts could not be checked"),
        "waste": ("thing only takes space", "things only take space"),
        "mended": ("thing was mended", "things were mended"),
    }
    said = [f"{counts[name]} {words[name][counts[name] != 1]}" for name in words if counts[name]]
    return f"{', '.join(said)}." if said else "All is well."
