"""The real server under photos that take much to decode: its memory, and that other tills are answered meanwhile."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedder.images import MAX_BYTES
from tests.support import bombs
from tests.support.drawn import DRAWN, front
from tests.support.pictures import encode, jpeg
from tests.support.served import environment, run, served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells how much memory a process took"),
]


def noisy_png() -> bytes:
    """As large a PNG as 25 MB hold, each pixel in the file."""
    return encode(Image.fromarray(np.random.default_rng(1).integers(0, 256, (2_500, 3_300, 3), np.uint8)), "PNG")


def padded(data: bytes) -> bytes:
    """The same picture in 25 MB: decoders leave aside what comes after its end."""
    return data + bytes(MAX_BYTES - len(data))


ROUNDS: dict[str, list[Callable[[], bytes]]] = {
    "webp": [bombs.ACCEPTED["webp"]],
    "avif": [bombs.ACCEPTED["avif"]],
    "png with alpha": [bombs.ACCEPTED["png with alpha"]],
    "progressive jpeg": [bombs.ACCEPTED["progressive jpeg"]],
    "all kinds": [
        noisy_png,
        *(
            bombs.ACCEPTED[name]
            for name in ("webp", "avif with alpha", "tiff", "thin jpeg", "16-bit png", "cmyk jpeg", "jpeg of 60 scans")
        ),
        bombs.REFUSED["webp of 64 megapixels"][0],
    ],
}


@pytest.mark.parametrize("name", list(ROUNDS))
def test_sixteen_requests_at_once_leave_the_server_below_a_gigabyte(name: str, tmp_path: Path) -> None:
    env = environment(CATALOG_DATA=str(tmp_path / "data"))
    (tmp_path / "front.jpg").write_bytes(front(DRAWN[0]))
    added = run(["add", "pack", str(tmp_path / "front.jpg"), "--barcode", "4006381333931"], env)
    assert added.returncode == 0, added.stderr
    key = run(["key", "create", "till"], env).stdout.strip()
    photos = [padded(make()) for make in ROUNDS[name]]
    with served(tmp_path / "log", env) as server:

        def ask(data: bytes) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/octet-stream"}
            request = urllib.request.Request(f"{server.url}/api/v1/recognize", data, headers)
            try:
                with urllib.request.urlopen(request, timeout=240) as answer:
                    return answer.status, json.load(answer)["decision"]
            except urllib.error.HTTPError as error:
                code = json.load(error)["code"]
                if code != "overloaded":
                    return error.code, code
            time.sleep(0.2)  # a till asks again
            return ask(data)

        assert ask(front(DRAWN[0])) == (200, "match")
        with ThreadPoolExecutor(17) as pool:
            waiting = [pool.submit(ask, photos[place % len(photos)]) for place in range(16)]
            time.sleep(0.5)
            assert ask(jpeg(5))[0] == 200
            answers = [future.result() for future in waiting]
        assert {status for status, _ in answers} <= {200, 413, 422}, answers
        if name != "all kinds":
            assert {status for status, _ in answers} == {200}, answers
        peak = re.search(r"VmHWM:\s+([0-9]+)", Path(f"/proc/{server.process.pid}/status").read_text())
        assert peak is not None
        assert int(peak[1]) < 1_000_000, f"{int(peak[1]) // 1024} MiB"
        assert ask(front(DRAWN[0])) == (200, "match")
