"""`python -m catalog.demo` (and so `make demo`): the whole job on a drawn catalog, through the real server by HTTP."""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from pathlib import Path

import httpx
from tqdm import tqdm

from catalog.demo import camera
from catalog.demo.products import Product, products
from catalog.demo.report import Row, Summary, write_report
from catalog.demo.server import add_product, serve_catalog

QUERIES = 3  # photos of each product that are asked
MARK = "this-folder-is-the-demo"


def main() -> None:
    """Draw, add, recognize, report."""
    parser = argparse.ArgumentParser(prog="catalog.demo")
    parser.add_argument("--data", type=Path, default=Path("demo-data"), help="folder of the demo's catalog, made anew")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    data = options.data.absolute()
    _make_empty(data)
    drawn = products(options.seed)
    with serve_catalog(data) as server, server.till() as till:
        photos = _add_all(till, [p for p in drawn if p.known], options.seed)
        rows = _ask_all(till, drawn, options.seed)
        bundle = till.get("/health/ready").json()["bundle"]
    summary = _summarize(drawn, rows, photos, bundle)
    _print_table(drawn, rows)
    report = data / "report.html"
    write_report(report, rows, summary)
    told = sum(row.decision == "unknown" for row in rows if row.expected is None)
    wrong = sum(row.decision == "match" and not row.correct for row in rows)
    print(
        f"\nunknown products told apart: {told} of {sum(row.expected is None for row in rows)}; wrong matches: {wrong}"
        f"; decided by what is printed: {sum(row.decided_by == 'details' for row in rows)}"
    )
    print(f"report with the pictures side by side: {report}")
    print("`make serve` opens this catalog, and prints a link that makes your account")
    print(summary.line)


def _make_empty(data: Path) -> None:
    """Start from nothing; a folder that is not the demo's is left alone."""
    if data.exists():
        if not (data / MARK).exists():
            sys.exit(f"{data} is not the demo's folder: give another by --data, or move it away.")
        shutil.rmtree(data)
    data.mkdir(parents=True)
    (data / MARK).touch()


def _add_all(till: httpx.Client, known: list[Product], seed: int) -> int:
    """Add every known product with its reference photos; how many photos are searchable."""
    searchable = 0
    for product in tqdm(known, desc="adding products", unit="product", leave=False):
        added = add_product(till, product, seed)
        searchable += sum(photo["state"] == "searchable" for photo in added["photos"])
    return searchable


def _ask_all(till: httpx.Client, drawn: list[Product], seed: int) -> list[Row]:
    """Send every query photo as a till would; `milliseconds` is the till's own round trip."""
    rows: list[Row] = []
    known = {product.sku: product for product in drawn if product.known}
    jobs = [(product, i) for product in drawn for i in range(QUERIES)]
    for product, i in tqdm(jobs, desc="recognizing", unit="photo", leave=False):
        photo = camera.encode(camera.query(product, i, seed))
        began = time.perf_counter()
        reply = till.post("/api/v1/recognize", content=photo, headers={"Content-Type": "image/jpeg"})
        milliseconds = (time.perf_counter() - began) * 1000
        if reply.status_code != 200:
            sys.exit(f"a photo of {product.sku} was not answered: {reply.text}")
        answer = reply.json()
        matches = [(match["sku"], match["name"], match["score"]) for match in answer["matches"]]
        decision, expected = answer["decision"], product.sku if product.known else None
        best = matches[0][0] if matches else None
        correct = decision == "unknown" if expected is None else (decision, best) == ("match", expected)
        reference = camera.encode(camera.reference(known[best], 0, seed)) if best else None
        evidence = (answer["matches"][0]["evidence"] if matches else None) or {"points": 0, "outline": []}
        rows.append(
            Row(
                photo,
                expected,
                decision,
                matches,
                reference,
                milliseconds,
                correct,
                answer["decided_by"],
                evidence["points"],
                evidence["outline"],
                product.family is not None,
            )
        )
    return rows


def _summarize(drawn: list[Product], rows: list[Row], photos: int, bundle: str) -> Summary:
    times = sorted(row.milliseconds for row in rows)
    known = sum(product.known for product in drawn)
    correct = sum(row.correct for row in rows)
    p50 = statistics.median(times)
    line = (
        f"demo: {known} products, {photos} photos, {len(rows)} queries, {correct} correct "
        f"({100 * correct / len(rows):.0f} %), p50 {p50:.0f} ms"
    )
    return Summary(
        products=known,
        photos=photos,
        queries=len(rows),
        correct=correct,
        p50=p50,
        p95=times[int(len(times) * 0.95)],
        bundle=bundle,
        line=line,
    )


def _print_table(drawn: list[Product], rows: list[Row]) -> None:
    """One line a product: how many of its query photos were answered right, the decisions, the median time."""
    width = max(len(product.sku) for product in drawn)
    print(f"{'SKU':{width}}  in catalog  correct  ms   decisions")
    for index, product in enumerate(drawn):
        asked = rows[index * QUERIES : (index + 1) * QUERIES]
        right = f"{sum(row.correct for row in asked)}/{len(asked)}"
        decisions = ", ".join(
            row.decision if row.correct or row.decision != "match" else f"match {row.matches[0][0]}" for row in asked
        )
        milliseconds = statistics.median(row.milliseconds for row in asked)
        print(
            f"{product.sku:{width}}  {'yes' if product.known else 'no':10}  {right:7}  {milliseconds:3.0f}  {decisions}"
        )


if __name__ == "__main__":
    main()
