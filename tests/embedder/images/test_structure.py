"""Files that take much to decode, or whose metadata is out of the ordinary."""

from __future__ import annotations

import io
import resource
import struct
import subprocess
import sys
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from embedder import images
from embedder.errors import ImageError
from embedder.images import structure
from embedder.images.memory import SMALL, MemoryBudget
from tests.support import bombs
from tests.support.pictures import encode, picture

SCENE = picture(4, (120, 80))


def refused(data: bytes, want: int | None = 224) -> str:
    with pytest.raises(ImageError) as caught:
        images.decode(data, want=want)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value.code


def seconds(data: bytes) -> float:
    """Processor time of decoding, or of saying why not."""
    began = time.thread_time()
    with suppress(ImageError):
        images.decode(data, want=512)
    return time.thread_time() - began


@pytest.mark.slow
@pytest.mark.parametrize("name", list(bombs.REFUSED))
def test_a_bomb_is_refused_before_it_is_decoded(name: str) -> None:
    make, code = bombs.REFUSED[name]
    data = make()
    assert len(data) <= images.MAX_BYTES
    assert seconds(data) < 2
    assert refused(data) == code


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells how much memory a process took")
@pytest.mark.parametrize("name", list(bombs.ACCEPTED))
def test_what_is_within_the_limits_takes_little_memory_and_time(name: str, tmp_path: Path) -> None:
    """Of the largest that are accepted, in a process of its own: the most memory beyond what Python and Pillow take."""
    (tmp_path / "photo").write_bytes(bombs.ACCEPTED[name]())
    code = (
        "import re, sys, time\n"
        "from pathlib import Path\n"
        "from embedder import images\n"
        "peak = lambda: int(re.search('VmHWM:\\\\s+([0-9]+)', Path('/proc/self/status').read_text())[1])\n"
        "data, before, began = Path(sys.argv[1]).read_bytes(), peak(), time.process_time()\n"
        "images.decode(data, want=512)\n"
        "print((peak() - before) // 1024, time.process_time() - began)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, tmp_path / "photo"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    mebibytes, spent = ran.stdout.split()
    assert int(mebibytes) < 240, ran.stdout
    assert float(spent) < 6, ran.stdout


@pytest.mark.slow
def test_each_kind_has_its_limit_of_pixels() -> None:
    for kind, side, most in [
        ("PNG", 5_700, 32),
        ("BMP", 5_700, 32),
        ("GIF", 5_700, 32),
        ("TIFF", 4_950, 24),
        ("WEBP", 3_650, 13),
        ("AVIF", 3_650, 13),
    ]:
        data = encode(Image.new("L" if kind not in ("WEBP", "AVIF") else "RGB", (side, side)), kind)
        if len(data) > images.MAX_BYTES:
            data = data[: images.MAX_BYTES]
        with pytest.raises(ImageError, match=f"at most {most} are accepted of {kind}"):
            images.decode(data)
    assert images.decode(bombs.flat_jpeg(7_900, 7_900), want=224).size == (988, 988)
    with pytest.raises(ImageError, match="at most 32 are accepted of a JPEG of several scans"):
        images.decode(bombs.flat_jpeg(5_700, 5_700, progressive=True))


@pytest.mark.slow
def test_a_picture_is_decoded_at_the_size_that_is_needed() -> None:
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"):
        opened = images.decode(encode(picture(2, (1600, 1200)), kind), want=200)
        assert opened.size == (800, 600), kind
    wide = images.decode(bombs.flat_jpeg(60_000, 900), want=512)
    assert wide.width * wide.height <= 8_000_000
    assert images.decode(bombs.flat_jpeg(7_000, 7_000)).size == (3_500, 3_500)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "1", "I;16", "F", "CMYK"])
def test_a_reduced_picture_is_that_of_the_whole(mode: str) -> None:
    """In bands, of which the last is not full, and with sides that are no multiple of the reduction."""
    size, kind = (2_403, 1_205), "TIFF" if mode in ("F", "CMYK") else "PNG"
    scene = picture(5, size)
    if mode in ("RGBA", "LA"):
        scene.putalpha(Image.linear_gradient("L").resize(size))
    if mode == "I;16":
        scene = Image.fromarray(np.asarray(scene.convert("L")).astype(np.uint16) * 257)
    data = encode(scene if scene.mode == mode else scene.convert(mode), kind)
    whole, small = images.decode(data), images.decode(data, want=150)
    assert (whole.size, small.size) == (size, (601, 302))
    again = np.asarray(whole.reduce(4)).astype(float) - np.asarray(small).astype(float)
    assert np.abs(again).max() <= 1


def with_text(**many: object) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 3_000_000, zip=True)
    info.add_text("Raw", "y" * 3_000_000)
    info.add_itxt("XML:com.adobe.xmp", "<x/>" * 1_000_000, zip=True)
    return encode(SCENE, "PNG", pnginfo=info, **many)


def test_large_metadata_of_a_png_is_left_aside() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "z" * 5_000_000
    data = with_text(exif=exif, icc_profile=bytes(3_000_000))
    assert (np.asarray(images.decode(data)) == np.asarray(SCENE.transpose(Image.Transpose.ROTATE_270))).all()
    assert images.dimensions(data) == (80, 120)


@pytest.mark.slow
def test_a_text_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    packed = zlib.compress(bytes(300_000_000), 1)
    whole = encode(SCENE, "PNG")
    for kind, head in ((b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")):
        data = whole[:33] + bombs.chunk(kind, head + packed) + whole[33:]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert (np.asarray(images.decode(data)) == np.asarray(SCENE)).all()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


def test_comments_and_segments_of_a_jpeg_are_left_aside() -> None:
    whole = encode(SCENE, quality=95)
    plain = np.asarray(images.decode(whole))
    parts = b"".join(
        struct.pack(">BBH", 0xFF, marker, 65_535) + head + bytes(65_533 - len(head))
        for marker, head in [(0xFE, b""), (0xE1, b"http://ns.adobe.com/xap/1.0/\0"), (0xE1, b"Exif\0\0"),
                             (0xE2, b"MPF\0"), (0xE2, b"ICC_PROFILE\0\1\1"), (0xED, b"Photoshop 3.0\0"), (0xEF, b"")]
    )  # fmt: skip
    for many in (parts, parts * 20):
        assert (np.asarray(images.decode(whole[:2] + many + whole[2:])) == plain).all()
    assert (np.asarray(images.decode(whole + bytes(1_000_000))) == plain).all()


def test_exif_is_read_in_both_orders_and_its_damage_ignored() -> None:
    for order, magic in (("<", b"II*\0"), (">", b"MM\0*")):
        for turn in range(1, 9):
            entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, turn, 0)
            exif = magic + struct.pack(f"{order}IH", 8, 1) + entry
            assert structure.orientation(exif) == turn
            assert structure.orientation(b"Exif\0\0" + exif) == turn
            assert all(structure.orientation(exif[:end]) == 1 for end in range(len(exif) - 1))
    assert structure.orientation(b"II*\0\xff\xff\xff\xff" + bytes(20)) == 1


def test_other_kinds_than_jpeg_are_turned_as_the_camera_was_held() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    held = exif.tobytes()  # saving an AVIF takes the orientation out of what it is given
    for kind in ("WEBP", "AVIF", "PNG", "JPEG", "TIFF"):
        opened = images.decode(encode(picture(2, (1600, 1200)), kind, exif=held), want=200)
        assert opened.size == (600, 800), kind
        assert images.dimensions(encode(SCENE, kind, exif=held)) == (80, 120), kind


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "AVIF", "PNG"])
def test_of_an_animation_the_first_picture_alone_is_decoded(kind: str) -> None:
    frames = [picture(seed, (400, 300)) for seed in range(60)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=20)
    one = encode(frames[0], kind)
    assert np.abs(np.asarray(images.decode(data)).astype(int) - np.asarray(images.decode(one))).mean() < 4
    assert seconds(data) < 0.5


def test_a_decoder_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    from embedder.images import reader

    monkeypatch.setattr(reader, "MAX_SECONDS", -1.0)
    assert refused(encode(SCENE, "GIF")) == "too_complex"
    assert refused(encode(SCENE, "JPEG")) == "too_complex"


def test_the_reader_reads_as_a_file_does() -> None:
    from embedder.images.reader import Reader

    data = bytes(range(100))
    file, parts = io.BytesIO(data), Reader([data[:10], memoryview(data)[10:11], data[11:11], data[11:]])
    steps = [("read", 5), ("read", 10), ("seek", -3, 2), ("read", 9), ("seek", 9), ("tell",), ("read",), ("read", 1)]
    for name, *arguments in (*steps, ("seek", 0), ("read", 0), ("read", None)):
        assert getattr(file, name)(*arguments) == getattr(parts, name)(*arguments)


def test_the_budget_is_never_passed_and_lets_small_pictures_by() -> None:
    budget, most, failures = MemoryBudget(4 * SMALL), [0], []

    def work(size: int) -> None:
        with budget.hold(size):
            most.append(budget.used)
            if budget.used > 4 * SMALL:
                failures.append(budget.used)
            time.sleep(0.01)

    threads = [threading.Thread(target=work, args=(size * SMALL,)) for size in (3, 1, 2, 9, 1, 1, 3, 4) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert not failures and max(most) == 4 * SMALL and budget.used == 0
    with budget.hold(4 * SMALL), budget.hold(SMALL - 1):
        pass  # no wait
    with pytest.raises(KeyError), budget.hold(SMALL):
        raise KeyError
    assert budget.used == 0
