"""Tills by the dozen at the paper's size: 47,553 vectors, photos of 640 x 480, a load tool in a process of its own.

`.venv/bin/python benchmarks/pos_load.py [--data DATA] [--seconds 20] [--tills 1 2 8 32] [--vectors N]`. The tool is
Locust (MIT), which `uv tool run` puts into an environment of its own. Each till has one connection and asks again at
once.

The gallery: photos of products, and random vectors up to 47,553. The photos are the drawn ones of the demo, of which
nearly all need a second look; with `--data` (a folder that has grocery-store/), 8 of each product in train/, and those
of val/ as queries. The server is the real one in its own process, with room for 32 waiting photos, as more would be
refused by default (benchmarks/serving.py --load measures that). It is asked, once it has nothing left to do for the
photos just added, by 1, 2, 8 and 32 tills, with
CATALOG_SECOND_LOOK off and auto, and so is the plain way (common/plain_tills.py; it needs TensorFlow and scikit-learn).
Its parts are measured in a process of their own before and after: decode, embed and search one after another, and
decode and embed alone on as many threads as the server has; searches on one thread and on as many, since the embedded
gallery keeps Python's lock; and the CPU time of a recognition. At last one till asks beside a client that sends batches
of 20 photos without a pause.

Goals: p50 of one till <= 1.3 of its parts; rate >= 85 % of decode and embed alone; >= 10 times that of the plain way;
by both looks >= 50 % of the rate by the first alone. Writes part `pos_load` of docs/measurements-serving.json (with
`--data` part `pos_load_groceries`).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from common import paper_catalog
from common.figures import save
from common.photo_sets import flat
from common.processes import alone
from PIL import Image, ImageOps

from catalog.demo import camera
from catalog.demo.products import products
from catalog.demo.server import Server, serve_catalog
from embedder import datasets

LOCUST = "locust==2.47.0"
TILLS = (1, 2, 8, 32)
#: Seconds of each run that are not counted, and photos of each real product.
WARM, EACH = 2.0, 8
SIZE = (640, 480)
#: Seconds without a request, and the share of a core up to which the server then counts as idle.
REST, IDLE = 5.0, 0.02
#: Seconds that it has for that.
SETTLED = 600.0
BATCH = 20
GOALS = {"one_till_over_parts": 1.3, "rate_of_decode_and_embed": 0.85, "times_plain": 10.0, "rate_of_first_look": 0.5}
THREADS = max(2, len(os.sched_getaffinity(0)))


def drawn() -> tuple[dict[str, list[bytes]], list[bytes]]:
    """Photos by SKU, and queries, of the demo's products."""
    known = [product for product in products() if product.known]
    photos = {one.sku: [camera.encode(camera.reference(one, at)) for at in range(4)] for one in known}
    return photos, [camera.encode(camera.query(one, 0)) for one in known]


def groceries(data: Path) -> tuple[dict[str, list[bytes]], list[bytes]]:
    """The same of grocery-store; its photos, 348 pixels wide, are enlarged to what a till's camera takes."""
    found = datasets.find_photos(data / "grocery-store" / "train")
    photos = {sku: [path.read_bytes() for path in paths[:EACH]] for sku, paths in found.items()}
    _, paths = flat(datasets.find_photos(data / "grocery-store" / "val"))
    return photos, [camera.encode(ImageOps.fit(Image.open(path).convert("RGB"), SIZE)) for path in paths]


def measure_parts(data: Path, photos: list[bytes], seconds: float) -> dict[str, Any]:
    """What the parts of a recognition take, in this process: nothing else has the gallery open."""
    from catalog.catalog import Catalog
    from catalog.config import Settings
    from catalog.recognition import recognize
    from catalog.recognition.candidates import nearest_products
    from embedder import images

    catalog = Catalog.open(Settings.from_env({"CATALOG_DATA": str(data), "CATALOG_SECOND_LOOK": "off"}))
    live = catalog.generations.ready()
    size = live.embedder.bundle.size
    taken: dict[str, list[float]] = {"decode": [], "embed": [], "search": []}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = call()
        taken[name].append((time.perf_counter() - began) * 1000)
        return found

    def decode_and_embed(place: int) -> None:
        live.embedder.embed_picture(images.decode(photos[place % len(photos)], want=size))

    ends, place = time.perf_counter() + seconds, 0
    while time.perf_counter() < ends:
        photo = photos[place % len(photos)]
        picture = timed("decode", lambda photo=photo: images.decode(photo, want=size))
        vector = timed("embed", lambda picture=picture: live.embedder.embed_picture(picture))
        timed("search", lambda vector=vector: nearest_products(catalog, live, vector))
        place += 1
    vectors = [live.embedder.embed_picture(images.decode(photo, want=size)) for photo in photos[: 10 * THREADS]]

    def search(place: int) -> None:
        nearest_products(catalog, live, vectors[place % len(vectors)])

    def whole(place: int) -> None:
        recognize(catalog, photos[place % len(photos)], asked_by="benchmark")

    rate = rate_of(decode_and_embed, THREADS, seconds)
    searches = {str(threads): round(rate_of(search, threads, seconds / 2)) for threads in (1, THREADS)}
    cpu = {name: cpu_of(call) for name, call in (("decode_embed", decode_and_embed), ("search", search))}
    cpu["whole"] = cpu_of(whole)
    catalog.close()
    parts = {name: round(float(np.median(some)), 2) for name, some in taken.items()}
    together = float(np.median(np.sum([taken[name] for name in taken], axis=0)))
    return {
        "p50_ms": parts,
        "together_ms": round(together, 2),
        "decode_and_embed_a_second": round(rate, 1),
        "searches_a_second_by_threads": searches,
        "cpu_ms": cpu,
    }


def rate_of(call: Callable[[int], None], threads: int, seconds: float) -> float:
    """Calls a second by so many threads."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, range(20)))
        done, began = 0, time.perf_counter()
        while time.perf_counter() < began + seconds:
            done += len(list(pool.map(call, range(done, done + 10 * threads))))
        return done / (time.perf_counter() - began)


def cpu_of(call: Callable[[int], None], times: int = 150) -> float:
    """Milliseconds of processor time of a call, one after another, all threads of the process together."""
    for place in range(10):
        call(place)
    began = time.process_time()
    for place in range(times):
        call(place)
    return round((time.process_time() - began) * 1000 / times, 1)


def load(url: str, key: str, photos: Path, tills: int, seconds: float) -> dict[str, Any]:
    """So many tills that ask for so long; milliseconds of answers, and answers a second."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        environment = {**os.environ, "TILL_KEY": key, "TILL_PHOTOS": str(photos), "TILL_OUT": str(out)}
        environment |= {"TILL_WARM": str(WARM), "TILL_SECONDS": str(seconds)}
        for name in ("PYTHONPATH", "PYTHONHOME"):
            environment.pop(name, None)
        uv = Path(sys.executable).with_name("uv")
        tool = [str(uv), "tool", "run", "--quiet", "--from", LOCUST, "locust"]
        script = str(Path(__file__).parent / "common" / "locust_tills.py")
        options = ["-f", script, "--headless", "--users", str(tills), "--spawn-rate", str(tills), "--host", url]
        options += ["--stop-timeout", "60", "--only-summary"]
        done = subprocess.run([*tool, *options], env=environment, capture_output=True, text=True)
        if not out.exists():
            sys.exit(f"Locust did not run:\n{done.stdout}{done.stderr}")
        said = json.loads(out.read_text())
    times = said["times"]
    shares = {f"p{share}_ms": round(float(np.percentile(times, share)), 1) for share in (50, 95, 99)} if times else {}
    others = {status: count for status, count in said["statuses"].items() if status != "200"}
    return {**shares, "a_second": round(len(times) / seconds, 1), "answers": len(times), "others": others}


def run_tills(name: str, url: str, key: str, photos: Path, counts: Sequence[int], seconds: float) -> dict[str, Any]:
    """By the number of tills."""
    rows = {}
    for tills in counts:
        rows[str(tills)] = load(url, key, photos, tills, seconds)
        print(f"{name}, {tills} tills: {rows[str(tills)]}", flush=True)
    return rows


def beside_a_batch(server: Server, photos: Path, seconds: float) -> dict[str, Any]:
    """One till alone, and beside a client that sends batches; photos of batches that are answered a second."""
    files = [path.read_bytes() for path in sorted(photos.glob("*.jpg"))]
    over, answered = threading.Event(), 0

    def send() -> None:
        nonlocal answered
        with server.till() as client:
            client.timeout = 120
            while not over.is_set():
                some = [files[(answered + at) % len(files)] for at in range(BATCH)]
                named = [("photos", (f"{at}.jpg", photo, "image/jpeg")) for at, photo in enumerate(some)]
                reply = client.post("/api/v1/recognize/batch", files=named).raise_for_status()
                answered += sum(answer["recognition"] is not None for answer in reply.json()["answers"])

    before = load(server.url, server.key, photos, 1, seconds)
    thread = threading.Thread(target=send)
    began = time.perf_counter()
    thread.start()
    try:
        beside = load(server.url, server.key, photos, 1, seconds)
    finally:
        over.set()
        thread.join()
    rate = answered / (time.perf_counter() - began)
    answered, began = 0, time.perf_counter()
    over.clear()
    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(seconds / 2)
    over.set()
    thread.join()
    alone_rate = answered / (time.perf_counter() - began)
    return {
        "till_alone": before,
        "till_beside": beside,
        "p95_beside_over_alone": round(beside["p95_ms"] / before["p95_ms"], 2),
        "batch_photos_a_second_beside": round(rate, 1),
        "batch_photos_a_second_alone": round(alone_rate, 1),
    }


@contextlib.contextmanager
def plain_server(vectors: int) -> Iterator[str]:
    """The plain way on a free port; its address."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        rng = np.random.default_rng(paper_catalog.SEED)
        np.save(path, rng.standard_normal((vectors, 256), np.float32))
        script = str(Path(__file__).parent / "common" / "plain_tills.py")
        command = [sys.executable, script, str(path), str(THREADS)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            found = re.search(r"Serving on (\S+)", process.stdout.readline() if process.stdout else "")
            if found is None:
                sys.exit("The plain way did not start.")
            yield found.group(1)
        finally:
            process.terminate()
            process.wait(30)


def judged(figures: dict[str, Any]) -> dict[str, Any]:
    """Each goal: what was reached, and by how many tills where that differs."""
    off, auto, plain = (figures[name] for name in ("off", "auto", "plain"))
    rate = {name: max(row["a_second"] for row in rows.values()) for name, rows in (("off", off), ("auto", auto))}
    parts = [figures["parts_before"], figures["parts_after"]]
    together = float(np.mean([part["together_ms"] for part in parts]))
    alone_rate = float(np.mean([part["decode_and_embed_a_second"] for part in parts]))
    found = {
        "one_till_over_parts": off["1"]["p50_ms"] / together,
        "rate_of_decode_and_embed": rate["off"] / alone_rate,
        "rate_of_first_look": rate["auto"] / rate["off"],
    }
    if plain:
        found["times_plain"] = rate["off"] / max(row["a_second"] for row in plain.values())
    return {name: {"reached": round(found[name], 2), "goal": GOALS[name]} for name in GOALS if name in found}


def measure(
    photos: dict[str, list[bytes]], queries: Sequence[bytes], vectors: int, counts: Sequence[int], seconds: float
) -> dict[str, Any]:
    figures: dict[str, Any] = {"vectors": vectors, "queries": len(queries), "threads": THREADS, "locust": LOCUST}
    figures["load_average_before"] = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        data, asked = Path(folder) / "data", Path(folder) / "queries"
        for each in (data, asked):
            each.mkdir()
        for at, photo in enumerate(queries):
            (asked / f"{at:04d}.jpg").write_bytes(photo)
        alone(paper_catalog.fill, data, photos, vectors)
        print("filled", flush=True)
        figures["parts_before"] = alone(measure_parts, data, list(queries), seconds / 2)
        print(figures["parts_before"], flush=True)
        for second_look in ("off", "auto"):
            os.environ["CATALOG_SECOND_LOOK"] = second_look
            with serve_catalog(data, "--waiting", str(max(counts))) as server:
                wait_until_settled(server)
                figures[second_look] = run_tills(
                    f"second look {second_look}", server.url, server.key, asked, counts, seconds
                )
                if second_look == "auto":
                    figures["batch"] = beside_a_batch(server, asked, seconds)
                    print(figures["batch"], flush=True)
        figures["parts_after"] = alone(measure_parts, data, list(queries), seconds / 2)
        if all(importlib.util.find_spec(name) for name in ("tensorflow", "sklearn")):
            with plain_server(vectors) as url:
                figures["plain"] = run_tills("the plain way", url, "none", asked, counts, seconds)
        else:
            print("the plain way is left out: it needs the extras train and map")
            figures["plain"] = {}
    figures["goals"] = judged(figures)
    figures["load_average_after"] = round(os.getloadavg()[0], 1)
    return figures


def wait_until_settled(server: Server) -> None:
    """Until the server is ready, and its background has nothing left to do with the photos that were just added."""
    with server.till() as till:
        till.get("/health/ready").raise_for_status()
    before, ends = cpu_seconds(server.pid), time.monotonic() + SETTLED
    while time.monotonic() < ends:
        time.sleep(REST)
        now = cpu_seconds(server.pid)
        if now - before < IDLE * REST:
            return
        before = now
    sys.exit(f"After {SETTLED:.0f} s the server is still at work: nothing would be measured but that.")


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with grocery-store/: real photos in place of drawn ones")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run that are counted")
    parser.add_argument("--tills", type=int, nargs="+", default=list(TILLS), help=f"(default: {TILLS}); 1 is needed")
    parser.add_argument("--vectors", type=int, default=paper_catalog.PHOTOS)
    options = parser.parse_args()
    photos, queries = groceries(options.data) if options.data else drawn()
    assert all(Image.open(io.BytesIO(query)).size == SIZE for query in queries)
    figures = measure(photos, queries, options.vectors, options.tills, options.seconds)
    save("serving", figures, part="pos_load_groceries" if options.data else "pos_load")
    for name, said in figures["goals"].items():
        print(f"{name}: {said['reached']} (goal {said['goal']})")


if __name__ == "__main__":
    main()
