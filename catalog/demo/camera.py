"""Photos of drawn packs: the ones that staff would take for the catalog, and the ones that a till's camera takes.

Every choice comes from a generator that is seeded by the SKU, the index and the seed, so a photo is the same each time.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from catalog.demo.packs import draw
from catalog.demo.products import Product, digest

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

REFERENCE_SIZE = (640, 640)
QUERY_SIZE = (640, 480)
#: A pack is kept at this height; no photo shows it larger. A kept pack is below 1 MB.
PACK_HEIGHT = 560
#: The share of the pack that something else may cover.
MAX_COVER = 0.2

# What grows from an easy photo to a hard one: turn in degrees, tilt, blur in pixels, noise in grey levels, clutter.
TURN = ((2, 9), (8, 17), (15, 25))
TILT = (0.06, 0.14, 0.22)
BLUR = ((0.3, 0.6), (0.7, 1.2), (1.1, 1.8))
NOISE = ((1.5, 3), (3, 6), (5, 9))
CLUTTER = ((0, 2), (2, 4), (3, 6))
EXPOSURE = ((0.9, 1.1), (0.7, 1.1), (0.5, 0.85))
SHARE = ((0.72, 0.84), (0.68, 0.8), (0.6, 0.76))

#: The colors of what else lies around: fruit, cardboard, glass, cloth.
GOODS = (
    (196, 52, 44),
    (226, 140, 40),
    (120, 156, 60),
    (214, 190, 90),
    (150, 116, 82),
    (88, 108, 130),
    (70, 96, 84),
    (190, 190, 186),
    (110, 78, 104),
)


def reference(product: Product, index: int, seed: int = 7) -> Image.Image:
    """A photo for the catalog, RGB 640 x 640: 0 is the clean picture on white, 1 to 3 are taken by hand."""
    rng = np.random.default_rng(digest("reference", product.sku, index, seed))
    if index == 0:
        scene = np.full((*REFERENCE_SIZE[::-1], 3), 255, np.uint8)
        shot = _shoot(_cutout(product), REFERENCE_SIZE, 0.86, 0.0, (0.0, 0.0), (320, 312))
        return Image.fromarray(_lay(scene, shot, (0, 10), 0.25))
    ground = (_cloth, _wood, _shelf)[index % 3]
    scene = ground(rng, *REFERENCE_SIZE)
    tilt = (rng.uniform(-0.07, 0.07), rng.uniform(-0.07, 0.07))
    centre = (320 + rng.uniform(-25, 25), 315 + rng.uniform(-15, 15))
    shot = _shoot(_cutout(product), REFERENCE_SIZE, rng.uniform(0.7, 0.82), rng.uniform(-12, 12), tilt, centre)
    scene = _lay(scene, shot, (rng.uniform(-16, 16), rng.uniform(6, 16)), 0.4)
    scene = _as_pixels(cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.3, 0.7)))
    return Image.fromarray(_expose(rng, scene, rng.uniform(0.8, 1.12), 0.08, rng.uniform(1, 3)))


def query(product: Product, index: int, seed: int = 7) -> Image.Image:
    """A photo of the till's camera, RGB 640 x 480: 0 is easy, 1 is medium, 2 is hard."""
    rng = np.random.default_rng(digest("query", product.sku, index, seed))
    grounds = (_belt, _steel, _wood, _cloth)
    scene = grounds[rng.integers(len(grounds))](rng, *QUERY_SIZE)
    for _ in range(rng.integers(*CLUTTER[index], endpoint=True)):
        _clutter(rng, scene)
    turn = rng.uniform(*TURN[index]) * rng.choice((-1, 1))
    tilt = (rng.uniform(-1, 1) * TILT[index], rng.uniform(-1, 1) * TILT[index])
    centre = (320 + rng.uniform(-60, 60) * (index + 1) / 2, 240 + rng.uniform(-18, 18))
    shot = _shoot(_cutout(product), QUERY_SIZE, rng.uniform(*SHARE[index]), turn, tilt, centre)
    scene = _lay(scene, shot, (rng.uniform(-14, 14), rng.uniform(3, 12)), 0.5)
    if index == 2 or (index == 1 and rng.random() < 0.6):
        _cover(rng, scene, shot[..., 3], MAX_COVER if index == 2 else MAX_COVER / 2)
    scene = _blur(rng, scene, rng.uniform(*BLUR[index]))
    cast, noise = (0.06, 0.11, 0.16)[index], rng.uniform(*NOISE[index])
    return Image.fromarray(_expose(rng, scene, rng.uniform(*EXPOSURE[index]), cast, noise))


def encode(image: Image.Image, quality: int = 88) -> bytes:
    """A picture -> JPEG bytes, the same for the same picture."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@lru_cache(maxsize=96)
def _cutout(product: Product) -> Pixels:
    """A pack cut to its outline -> uint8 [560 at most, w, 4], colors multiplied by opacity."""
    pack = draw(product)
    pixels = np.asarray(pack.crop(pack.getchannel("A").getbbox()))
    pixels = (pixels * np.dstack([pixels[..., 3:] / 255.0] * 3 + [np.ones(pixels.shape[:2])])).astype(np.uint8)
    high, wide = pixels.shape[:2]
    scale = min(1.0, PACK_HEIGHT / high)
    return _as_pixels(cv2.resize(pixels, (round(wide * scale), round(high * scale)), interpolation=cv2.INTER_AREA))


def _as_pixels(array: npt.NDArray[np.generic]) -> Pixels:
    return np.asarray(array, dtype=np.uint8)


def _shoot(
    pack: Pixels,
    size: tuple[int, int],
    share: float,
    turn: float,
    tilt: tuple[float, float],
    centre: tuple[float, float],
) -> Pixels:
    """A pack as the camera sees it -> uint8 [h, w, 4]: `share` of the frame's height, turned, seen obliquely."""
    high, wide = pack.shape[:2]
    corners = np.array([(-wide, -high), (wide, -high), (wide, high), (-wide, high)]) / 2
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    seen = corners / (1 + corners @ tilt / max(wide, high) * 2)[:, None] @ np.array([[c, s], [-s, c]])
    across, along = np.ptp(seen, axis=0)
    scale = min(share * size[1] / along, 0.9 * size[0] / across)
    seen = (seen - (seen.min(axis=0) + seen.max(axis=0)) / 2) * scale + centre
    # A warp samples single points: a pack that gets much smaller is reduced first, or its print would flicker.
    small = pack if scale > 0.9 else cv2.resize(pack, (0, 0), fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    high, wide = small.shape[:2]
    source = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], np.float32)
    matrix = cv2.getPerspectiveTransform(source, seen.astype(np.float32))
    return _as_pixels(cv2.warpPerspective(small, matrix, size, flags=cv2.INTER_LINEAR))


def _lay(scene: Pixels, shot: Pixels, shadow: tuple[float, float], depth: float) -> Pixels:
    """The pack onto the scene, with a soft shadow moved by `shadow` pixels."""
    high, wide = scene.shape[:2]
    small = cv2.resize(shot[..., 3], (wide // 4, high // 4), interpolation=cv2.INTER_AREA)
    move = np.array([[1, 0, shadow[0] / 4], [0, 1, shadow[1] / 4]], np.float32)
    soft = cv2.GaussianBlur(cv2.warpAffine(small, move, (wide // 4, high // 4)), (0, 0), 3)
    lit = cv2.resize(cv2.convertScaleAbs(soft, alpha=-depth, beta=255), (wide, high))
    left = cv2.multiply(lit, cv2.bitwise_not(shot[..., 3]), scale=1 / 255)
    under = cv2.multiply(scene, cv2.merge([left, left, left]), scale=1 / 255)
    return _as_pixels(cv2.add(under, cv2.cvtColor(shot, cv2.COLOR_RGBA2RGB)))


@lru_cache(maxsize=1)
def _static() -> Floats:
    """A sheet of noise, mean 0 and deviation 1, that photos take their cut-outs of: far cheaper than new noise."""
    return np.random.default_rng(digest("static")).standard_normal((900, 1100, 3), np.float32)


def _grain(rng: np.random.Generator, wide: int, high: int) -> Floats:
    """A cut-out of the noise -> float32 [high, wide, 3]."""
    y, x = rng.integers(900 - high), rng.integers(1100 - wide)
    return _static()[y : y + high, x : x + wide]


def _toned(rng: np.random.Generator, colors: tuple[tuple[int, int, int], ...], spread: float) -> Floats:
    color = np.array(colors[rng.integers(len(colors))], np.float32)
    return color + rng.uniform(-spread, spread, 3).astype(np.float32)


def _textured(texture: Floats, color: Floats) -> Pixels:
    return _as_pixels(cv2.merge([cv2.convertScaleAbs(np.maximum(texture + part, 0)) for part in color]))


def _cloth(rng: np.random.Generator, wide: int, high: int) -> Pixels:
    """A plain table top."""
    color = _toned(rng, ((206, 200, 190), (168, 178, 184), (226, 222, 214), (120, 130, 126), (190, 170, 150)), 10)
    cloud = cv2.resize(_grain(rng, 8, 6)[..., 0], (wide, high), interpolation=cv2.INTER_CUBIC) * 5
    return _textured(cloud + _grain(rng, wide, high)[..., 0] * 2, color)


def _wood(rng: np.random.Generator, wide: int, high: int) -> Pixels:
    """Boards with a grain."""
    color = _toned(rng, ((176, 132, 88), (148, 104, 68), (204, 170, 128), (110, 80, 60)), 8)
    veins = cv2.resize(_grain(rng, 6, high)[..., 1], (wide, high), interpolation=cv2.INTER_CUBIC) * 9
    veins += cv2.resize(_grain(rng, 4, high // 12)[..., 2], (wide, high), interpolation=cv2.INTER_CUBIC) * 8
    for y in range(int(rng.integers(20, 120)), high, 150):
        veins[y : y + 3] -= 38
    return _textured(veins, color)


def _shelf(rng: np.random.Generator, wide: int, high: int) -> Pixels:
    """A shelf: the wall behind, the board, and the strip for prices."""
    scene = _cloth(rng, wide, high)
    edge = int(high * rng.uniform(0.8, 0.88))
    scene[edge:] = (scene[edge:] * 0.72).astype(np.uint8)
    scene[edge + 34 : edge + 74] = _toned(rng, ((238, 236, 228), (196, 40, 44), (40, 84, 150)), 6).astype(np.uint8)
    for x in range(int(rng.integers(0, 120)), wide, 210):
        cv2.rectangle(scene, (x, edge + 40), (x + 84, edge + 68), (250, 250, 244), -1)
        cv2.putText(scene, f"{rng.integers(1, 9)}.{rng.integers(10, 99)}", (x + 12, edge + 62), 0, 0.7, (40, 40, 40), 2)
    return scene


def _belt(rng: np.random.Generator, wide: int, high: int) -> Pixels:
    """A conveyor belt between its steel rails."""
    y = np.arange(high, dtype=np.float32)[:, None]
    ribs = 5 * np.sin(y / rng.uniform(2.5, 5)) + _grain(rng, wide, high)[..., 0] * 3
    scene = _textured(ribs, _toned(rng, ((52, 54, 58), (66, 66, 64), (44, 52, 56)), 4))
    rail = int(rng.integers(16, 44))
    scene[:rail] = scene[-rail:] = _toned(rng, ((176, 180, 184),), 10).astype(np.uint8)
    scene[rail : rail + 4] = 20
    return scene


def _steel(rng: np.random.Generator, wide: int, high: int) -> Pixels:
    """The brushed plate of a scale, its rim and its display."""
    brushed = cv2.resize(_grain(rng, 10, high)[..., 0], (wide, high), interpolation=cv2.INTER_LINEAR) * 6
    scene = _textured(brushed, _toned(rng, ((178, 182, 186), (160, 166, 172)), 6))
    cv2.rectangle(scene, (30, 22), (wide - 30, high - 54), (140, 144, 150), 5, cv2.LINE_AA)
    cv2.rectangle(scene, (0, high - 44), (wide, high), (58, 60, 64), -1)
    cv2.rectangle(scene, (wide - 210, high - 38), (wide - 50, high - 6), (24, 40, 30), -1)
    weight = f"{rng.integers(0, 2)}.{rng.integers(100, 999)} kg"
    cv2.putText(scene, weight, (wide - 196, high - 13), 0, 0.8, (120, 235, 140), 2, cv2.LINE_AA)
    return scene


def _clutter(rng: np.random.Generator, scene: Pixels) -> None:
    """Something else that lies at the frame's edge: a box, a fruit, a receipt or a bottle."""
    high, wide = scene.shape[:2]
    side = rng.choice((-1, 1))
    x, y = wide / 2 + side * rng.uniform(0.36, 0.56) * wide, rng.uniform(0.02, 0.98) * high
    size, turn = rng.uniform(60, 130), rng.uniform(0, 360)
    color = _toned(rng, GOODS, 14)
    shades = [tuple(int(v) for v in np.clip(color * f, 0, 255)) for f in (0.55, 1.0, 1.25)]
    kind = rng.integers(4)
    if kind == 0:
        for grow, shade, offset in ((1.0, shades[0], 9), (1.0, shades[1], 0), (0.5, shades[2], 0)):
            box = cv2.boxPoints(((x + offset, y + offset), (size * 1.3, size * 0.9 * grow), turn))
            cv2.fillPoly(scene, [box.astype(np.int32)], shade, cv2.LINE_AA)
    elif kind == 1:
        for step in range(8):
            grow = 1 - step / 10
            shade = tuple(int(v) for v in np.clip(color * (0.6 + 0.09 * step), 0, 255))
            at = (round(x - step * size * 0.02), round(y - step * size * 0.025))
            cv2.circle(scene, at, round(size * 0.6 * grow), shade, -1, cv2.LINE_AA)
    elif kind == 2:
        box = cv2.boxPoints(((x, y), (size * 0.9, size * 2.2), turn % 40 - 20))
        cv2.fillPoly(scene, [box.astype(np.int32)], (240, 240, 236), cv2.LINE_AA)
        for k in range(1, 12):
            one, other = (box[0] * (12 - k) + box[1] * k) / 12, (box[3] * (12 - k) + box[2] * k) / 12
            ends = [one + (other - one) * share for share in (0.12, rng.uniform(0.5, 0.88))]
            cv2.polylines(scene, [np.array(ends, np.int32)], False, (120, 120, 124), 2, cv2.LINE_AA)
    else:
        way = np.array([np.cos(np.radians(turn)), np.sin(np.radians(turn))]) * size
        for thick, shade, far in (
            (0.3, shades[0], 1.5),
            (0.8, shades[0], 0.9),
            (0.7, shades[1], 0.9),
            (0.12, shades[2], 0.8),
        ):
            start, end = np.array([x, y]) - way * 0.8, np.array([x, y]) + way * far
            _limb(scene, start, end, size * thick, shade)


def _limb(scene: Pixels, start: Floats, end: Floats, thick: float, color: tuple[int, ...]) -> None:
    points = [tuple(int(v) for v in np.round(point)) for point in (start, end)]
    cv2.line(scene, points[0], points[1], color, max(1, round(thick)), cv2.LINE_AA)


def _cover(rng: np.random.Generator, scene: Pixels, pack: Pixels, most: float) -> None:
    """A hand, a price sticker or a glare on the pack, in place; it covers `most` of the pack or less."""
    paint: Callable[[np.random.Generator, Pixels, tuple[float, ...], float], Pixels]
    paint = (_hand, _sticker, _glare)[rng.integers(3)]
    x, y, wide, high = cv2.boundingRect(pack)
    seed, size = int(rng.integers(2**32)), 1.0
    solid = pack > 127
    while size > 0.2:
        over = paint(np.random.default_rng(seed), np.zeros((*pack.shape, 4), np.uint8), (x, y, wide, high), size)
        if np.count_nonzero((over[..., 3] > 60) & solid) <= most * np.count_nonzero(solid):
            share = over[..., 3:].astype(np.float32) / 255
            scene[:] = (scene * (1 - share) + over[..., :3] * share).astype(np.uint8)
            return
        size *= 0.88


def _hand(rng: np.random.Generator, over: Pixels, box: tuple[float, ...], size: float) -> Pixels:
    """Fingers that hold the pack from a side -> `over`, painted."""
    x, y, wide, high = box
    skin = np.array(((232, 190, 160), (198, 146, 110), (128, 84, 58))[rng.integers(3)])
    side, top = rng.choice((-1, 1)), y + high * rng.uniform(0.3, 0.5)
    edge, thick = x + wide / 2 + side * wide / 2, max(high * 0.11, 18.0) * size**0.5
    palm = np.array([edge + side * (70.0 + thick), top + 1.6 * thick + 20], np.float32)
    _limb(
        over, palm, palm + np.array([side * 400, 120], np.float32), thick * 4.2, (*(int(v) for v in skin * 0.86), 255)
    )
    for finger in range(4):
        reach = wide * (0.2, 0.29, 0.27, 0.18)[finger] * size
        start = np.array([edge + side * (90 + thick), top + finger * thick * 0.98 + 26.0], np.float32)
        end = np.array([edge - side * reach, top + finger * thick * 0.98], np.float32)
        for grow, light, inward in ((1.0, 0.72, 0), (0.84, 0.93, 0), (0.4, 1.04, 0)):
            color = (*(int(v) for v in np.clip(skin * light, 0, 255)), 255)
            _limb(over, start, end + inward, thick * grow, color)
        nail = tuple(int(v) for v in np.clip(skin * 0.6 + 100, 0, 255))
        tip = (round(float(end[0])), round(float(end[1])))
        cv2.ellipse(over, tip, (round(thick * 0.3), round(thick * 0.22)), 0, 0, 360, (*nail, 255), -1, cv2.LINE_AA)
    return over


def _sticker(rng: np.random.Generator, over: Pixels, box: tuple[float, ...], size: float) -> Pixels:
    """A round price sticker -> `over`, painted."""
    x, y, wide, high = box
    at = (round(x + wide * rng.uniform(0.3, 0.7)), round(y + high * rng.uniform(0.25, 0.75)))
    radius = round(min(wide, high) * 0.26 * size)
    color = ((250, 214, 40), (235, 60, 50), (250, 130, 30))[rng.integers(3)]
    cv2.circle(over, at, radius, (*color, 255), -1, cv2.LINE_AA)
    cv2.circle(over, at, round(radius * 0.86), (255, 255, 255, 255), 2, cv2.LINE_AA)
    place = (round(at[0] - radius * 0.62), round(at[1] + radius * 0.16))
    cv2.putText(over, f"-{rng.integers(2, 6)}0%", place, 0, radius / 66, (30, 20, 20, 255), 2, cv2.LINE_AA)
    return over


def _glare(rng: np.random.Generator, over: Pixels, box: tuple[float, ...], size: float) -> Pixels:
    """The reflection of a lamp -> `over`, painted."""
    x, y, wide, high = box
    at = (round(x + wide * rng.uniform(0.3, 0.7)), round(y + high * rng.uniform(0.2, 0.8)))
    axes = (round(wide * 0.3 * size), round(high * 0.1 * size))
    cv2.ellipse(over, at, axes, rng.uniform(-50, 50), 0, 360, (255, 255, 250, 245), -1, cv2.LINE_AA)
    over[..., 3] = cv2.GaussianBlur(over[..., 3], (0, 0), 9)
    over[..., :3] = (255, 255, 250)
    return over


def _blur(rng: np.random.Generator, scene: Pixels, amount: float) -> Pixels:
    """Out of focus, or moved while the shutter was open."""
    if rng.random() < 0.55 or amount < 0.7:
        return _as_pixels(cv2.GaussianBlur(scene, (0, 0), amount))
    length = round(amount * 6)
    kernel = np.zeros((length, length), np.float32)
    angle, middle = rng.uniform(0, np.pi), length / 2 - 0.5
    way = np.array([np.cos(angle), np.sin(angle)]) * middle
    _limb(kernel, middle - way, middle + way, 1, (1,))  # type: ignore[arg-type]
    return _as_pixels(cv2.filter2D(scene, -1, kernel / kernel.sum()))


def _expose(rng: np.random.Generator, scene: Pixels, exposure: float, cast: float, noise: float) -> Pixels:
    """Light that falls from one side, in its color, on a sensor that adds noise."""
    high, wide = scene.shape[:2]
    y, x = np.mgrid[-1:1:12j, -1:1:16j]
    angle = rng.uniform(0, 2 * np.pi)
    slope = 1 + rng.uniform(0.04, 0.18) * (x * np.cos(angle) + y * np.sin(angle)) - 0.09 * (x * x + y * y)
    tint = exposure * (
        1 + rng.uniform(-cast, cast) * np.array([1, 0.1, -1]) + np.array([0, rng.uniform(-0.3, 0.3) * cast, 0])
    )
    light = cv2.resize(slope[..., None] * tint, (wide, high), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    lit = cv2.multiply(scene, light, dtype=cv2.CV_32F)
    return _as_pixels(cv2.addWeighted(lit, 1, _grain(rng, wide, high), noise, 0, dtype=cv2.CV_8U))
