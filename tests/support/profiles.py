"""ICC profiles of color spaces with three primaries and a gamma, made by hand."""

from __future__ import annotations

import struct

#: Primaries relative to D50 (red, green, blue: XYZ each) and gamma.
SPACES = {
    "srgb": (((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)), 2.2),
    "adobe": (((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)), 2.2),
    "p3": (((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)), 2.2),
    "prophoto": (((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491)), 1.8),
}


def icc_profile(space: str, name: str = "") -> bytes:
    """An ICC profile, version 2, of one of SPACES; `name` is its description."""
    primaries, gamma = SPACES[space]

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    text = (name or f"a profile like {space[:1]}").encode() + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642) + fixed(1.0) + fixed(0.8249),
    }
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    for letter, primary in zip(b"rgb", primaries, strict=True):
        tags[bytes([letter]) + b"XYZ"] = b"XYZ \0\0\0\0" + b"".join(fixed(value) for value in primary)
        tags[bytes([letter]) + b"TRC"] = curve
    table, body = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, 128 + 4 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size, date = 132 + 12 * len(tags) + len(body), struct.pack(">6H", 2020, 1, 1, 0, 0, 0)
    header = struct.pack(">I4sI", size, b"", 0x02100000) + b"mntrRGB XYZ " + date + b"acsp"
    header += bytes(28) + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return header + bytes(128 - len(header)) + table + body
