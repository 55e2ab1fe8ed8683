"""`python -m web.api.reference FILE`: the reference page of the docs, made from the code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from web import problems


def reference() -> str:
    """The page, in Markdown."""
    return "\n".join([*_head(), *_problems()]) + "\n"


def _head() -> Iterator[str]:
    yield "# The POS API: reference"
    yield ""
    yield "Made from the code by `python -m web.api.reference docs/api-reference.md`. The guide: [the POS API](api.md)."
    yield ""


def _problems() -> Iterator[str]:
    yield "## Problems"
    yield ""
    yield "What is answered in place of what was asked for: `application/problem+json` (RFC 9457). `type` is the path"
    yield "of the problem's page on the server, `/problems/CODE`."
    yield ""
    yield "| status | code | what it means | what to do |"
    yield "|---|---|---|---|"
    for code, kind in problems.KINDS.items():
        means = f"The staff's pages only: {kind.means[0].lower()}{kind.means[1:]}" if kind.pages else kind.means
        yield f"| {kind.status} | `{code}` | {means} | {kind.do} |"


def main() -> None:
    """Write the page."""
    Path(sys.argv[1]).write_text(reference())


if __name__ == "__main__":
    main()
