"""Picture formats by the first bytes of a file, whatever its name says."""

from __future__ import annotations

#: Bytes from the start of a file that tell its format.
HEAD = 512
#: Formats that are not decoded, by their first bytes.
_OTHERS = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"FUJIFILMCCD-RAW": "camera raw",
    b"IIRO": "camera raw",
    b"IIU\0": "camera raw",
}
_DECODED = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
#: Brands of the ISO base media format that hold still pictures; the others are films. The last are of any coding.
_AVIF = (b"avif", b"avis")
_ANY_CODING = (b"mif1", b"msf1", b"miaf", b"heif")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", *_ANY_CODING)
#: Sizes of the header after the first 14 bytes of a BMP: a text may begin with "BM", too.
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def decoded_format(head: bytes) -> str | None:
    """The format of a file with these first bytes (HEAD of them); None unless it is one that is decoded."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[4:8] == b"ftyp" and _is_avif(head):
        return "AVIF"
    return next((name for start, name in _DECODED.items() if head.startswith(start)), None)


def other_format(head: bytes) -> str | None:
    """The picture format of a file with these first bytes; None unless it is one that is known and not decoded."""
    if head[4:8] == b"ftyp":
        return "HEIC" if head[8:12] in _HEIC and not _is_avif(head) else None
    return next((name for start, name in _OTHERS.items() if head.startswith(start)), None)


def _is_avif(head: bytes) -> bool:
    """By the brand of the file, or, where that is of any coding, by those that it is compatible with."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    compatible = [head[place : place + 4] for place in range(16, size, 4)]
    return head[8:12] in _AVIF or (head[8:12] in _ANY_CODING and any(brand in _AVIF for brand in compatible))
