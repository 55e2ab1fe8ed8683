"""Damaged pictures of all formats against a catalog that is really served: each is answered, nothing is left behind."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path

import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support import pictures
from tests.support.served import environment, run, served

#: What may be answered to a photo.
ANSWERS = {200, 413, 415, 422}
#: MiB that the server may grow by once all formats were decoded.
GROWTH = 50


def whole() -> dict[str, bytes]:
    """A small picture in each format. A HEIC is an AVIF that says so: no encoder of HEVC is at hand."""
    image = pictures.picture(7, (96, 72))
    found = {kind: pictures.encode(image, kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")}
    found["progressive"] = pictures.encode(image, progressive=True)
    found["HEIC"] = found["AVIF"].replace(b"ftypavif", b"ftypheic")
    return found


WHOLE = whole()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Bytes of a picture, damaged: flipped, cut, with another's header, with a part twice, left out or overwritten."""
    data = bytearray(WHOLE[draw(st.sampled_from(sorted(WHOLE)))])
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, min(len(data) - 1, draw(st.sampled_from([64, 512, 100_000]))))))
        length = draw(st.integers(1, 64))
        match draw(st.sampled_from(["flip", "cut", "header", "twice", "out", "over"])):
            case "flip":
                for at in draw(st.lists(st.integers(0, max(0, len(data) - 1)), min_size=1, max_size=8)):
                    if at < len(data):
                        data[at] ^= draw(st.integers(1, 255))
            case "cut":
                del data[place:]
            case "header":
                other = WHOLE[draw(st.sampled_from(sorted(WHOLE)))]
                data[:length] = other[: draw(st.integers(1, 64))]
            case "twice":
                data[place:place] = data[place : place + length] * draw(st.integers(1, 50))
            case "out":
                del data[place : place + length]
            case "over":
                data[place : place + length] = draw(st.binary(min_size=1, max_size=16))
    return bytes(data)


def send(folder: Path, *, examples: int, number: int) -> tuple[Counter[int], list[str]]:
    """Send so many -> how often each status was answered, and what is wrong."""
    temporary = folder / "tmp"
    temporary.mkdir()
    env = environment(CATALOG_DATA=str(folder / "data"), TMPDIR=str(temporary))
    (folder / "p.jpg").write_bytes(pictures.jpeg(7))
    assert run(["add", "PACK", str(folder / "p.jpg")], env).returncode == 0
    key = run(["key", "create", "till", "--rate", "off"], env).stdout.split()[-1]
    assert run(["key", "inbox", "1", "off"], env).returncode == 0
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    with (
        served(folder / "log", env) as server,
        httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as till,
    ):

        def ask(data: bytes) -> None:
            reply = till.post("/api/v1/recognize", content=data, headers={"Content-Type": "image/jpeg"})
            statuses[reply.status_code] += 1
            if reply.status_code not in ANSWERS:
                wrong.append(f"{reply.status_code} for {data[:2000].hex()}: {reply.text}")

        for _ in range(3):
            for data in WHOLE.values():
                ask(data)
        kept, before = stored(folder), resident(server.process.pid)

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(damaged())
        def all_answered(data: bytes) -> None:
            ask(data)

        all_answered()
        grown = resident(server.process.pid) - before
        if grown > GROWTH:
            wrong.append(f"the server has {grown:.0f} MiB more than before")
        if left := [path.name for path in temporary.rglob("*") if path.is_file()]:
            wrong.append(f"temporary files are left: {left}")
        if more := stored(folder) - kept:
            wrong.append(f"photos were stored: {more}")
    if "Traceback" in (said := (folder / "log").read_text()):
        wrong.append(said)
    return statuses, wrong


def stored(folder: Path) -> set[str]:
    """The files of photos."""
    photos = folder / "data" / "photos"
    return {path.relative_to(photos).as_posix() for path in photos.rglob("*") if path.is_file()}


def resident(process: int) -> float:
    """MiB of memory that a process has."""
    found = re.search(r"VmRSS:\s+([0-9]+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def torture(examples: int, number: int) -> tuple[Counter[int], list[str]]:
    """The same in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        return send(Path(folder), examples=examples, number=number)
