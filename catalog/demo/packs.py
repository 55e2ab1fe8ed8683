"""How a pack is drawn: a front with print and sprites, put on a form. The same product gives the same pixels always."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from catalog.demo.products import Color, Product, color_of
from catalog.demo.sprites import outlines, table, turned

Box = tuple[float, float, float, float]

#: Size of a drawn pack's canvas in pixels.
WIDTH, HEIGHT = 600, 800
#: The front of a pack is drawn this many times larger and then reduced: Pillow's polygons have no smooth edges.
FINE = 2

# Where things stand on a front, as shares of its width and height: brand | title | sprites x y radius | flavor |
# what lies under the brand, its slant and its arch. The bottom tenth belongs to bar code, small print and size.
LAYOUTS = """
crown: .08 .045 .92 .165 | .2 .215 .8 .26 | .5 .52 .44 | 0 .755 1 .855 | band 0 .12
seal: .1 .07 .9 .17 | .2 .19 .8 .23 | .5 .46 .3 | .08 .7 .92 .8 | disc 0 0
tall: .03 .2 .97 .4 | .2 .43 .8 .48 | .5 .68 .37 | .1 .05 .9 .145 | none .22 0
low: .06 .05 .94 .185 | .15 .205 .85 .25 | .5 .625 .46 | .14 .265 .86 .37 | none 0 0
plaque: .12 .13 .88 .27 | .2 .29 .8 .335 | .5 .68 .34 .16 .78 .2 .84 .78 .2 | .12 .35 .88 .45 | plaque 0 0
burst: .05 .1 .95 .29 | .2 .36 .8 .405 | .6 .63 .42 .2 .55 .16 | .02 .78 .8 .875 | splash .2 0
wide: .04 .1 .6 .29 | .08 .33 .52 .41 | .78 .46 .5 | .04 .55 .57 .73 | none 0 0
oval: .13 .11 .87 .23 | .24 .25 .76 .295 | .5 .62 .37 .17 .68 .2 .83 .68 .2 | .1 .385 .9 .485 | oval 0 .15
"""

SMALL_PRINT = ("Keep cool and dry.", "Best before: see base.", "Please recycle.")

# Forms: of a box, the width, height and depth of its body. Of what is round or soft, "y half-width" pairs from top to
# bottom | top and bottom of the label and its share of the width | how far its edges bow, in pixels | body in zones.
BOXES = {"carton": (410, 640, 74), "slab": (310, 660, 46), "chest": (470, 400, 72), "brick": (330, 650, 104)}
FORMS = """
can: 70 140 98 166 716 166 746 146 | 96 718 1 | 16 | 60 800 m
tin: 250 262 264 270 560 270 576 262 | 264 562 1 | 26 | 240 800 m
bottle: 20 42 86 42 92 36 170 42 290 140 330 152 744 152 764 144 | 372 668 1 | 12 | 0 88 a 88 800 c
flask: 26 52 120 58 128 74 196 150 270 186 700 186 752 168 | 270 676 .9 | 14 | 0 124 a 124 800 c
jar: 116 176 200 176 210 166 250 198 690 198 726 180 | 292 652 .86 | 18 | 0 204 s 204 800 c
tub: 196 244 250 244 252 226 690 178 | 256 690 1 | 22 | 0 252 a 252 800 w
tube: 30 176 70 176 400 158 640 128 664 108 668 92 764 96 | 80 646 1 | 6 | 0 650 b 650 800 a
bag: 36 214 70 222 180 208 400 216 640 210 736 224 768 216 | 36 768 1 | 0 | 0 800 b
pouch: 150 252 190 258 330 246 560 248 690 260 724 254 | 150 724 1 | 0 | 0 800 b
"""


def draw(product: Product) -> Image.Image:
    """A pack -> RGBA, 600 x 800 pixels, transparent around it."""
    return Image.fromarray(_boxed(product) if product.kind in BOXES else _lathed(product))


def _mix(one: Color, other: Color, share: float) -> Color:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _light(color: Color) -> float:
    return color[0] * 0.3 + color[1] * 0.59 + color[2] * 0.11


def _on(ground: Color) -> Color:
    """A color for print that can be read on this ground."""
    return (36, 28, 32) if _light(ground) > 150 else (255, 253, 246)


def _ink(ink: Color, ground: Color) -> Color:
    """The brand's ink where it can be read on this ground."""
    return ink if abs(_light(ink) - _light(ground)) > 60 else _on(ground)


def _palette(product: Product) -> dict[str, Color]:
    fixed = {"w": "fffaf0", "k": "2a2024", "g": "5da447", "f": "2f6f35", "n": "7d4a28", "y": "f4c64f", "r": "d63a32"}
    colors = {key: color_of(code) for key, code in (fixed | {"q": "f0b0a8", "m": "c6cbd1"}).items()}
    accent = product.accent
    colors |= {"a": accent, "d": _mix(accent, (0, 0, 0), 0.32), "l": _mix(accent, (255, 255, 255), 0.5)}
    return colors | {"b": product.base, "s": product.second, "i": product.ink, "c": product.contents}


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("This Pillow has bitmap letters only: install one that is built with FreeType.")
    return font


class _Front:
    """The printed front of a pack, drawn flat; `inset` keeps print from the sides, where a round pack turns away."""

    def __init__(self, product: Product, width: int, height: int, inset: float) -> None:
        self.product, self.w, self.h, self.inset = product, width * FINE, height * FINE, inset
        self.colors = _palette(product)
        self.image = Image.new("RGB", (self.w, self.h), product.base)
        self.pen = ImageDraw.Draw(self.image)

    def print(self) -> Image.Image:
        """Print all of it -> RGB of the size that was asked for."""
        product, colors = self.product, self.colors
        brand, title, spots, flavor, style = table(LAYOUTS)[product.layout].split(" | ")
        plate, slant, arch = style.split()
        self.backdrop(product.backdrop)
        ink = self.plate(plate, self.place(brand))
        self.write(product.brand, self.place(brand), ink, 4, float(slant), float(arch))
        numbers = [float(number) for number in spots.split()]
        for k in range(len(numbers) - 3, -1, -3):
            x, y, _, _ = self.place(f"{numbers[k]} {numbers[k + 1]} 1 1")
            self.sprite(product.sprite, x, y, numbers[k + 2] * min(self.w * (1 - 2 * self.inset), self.h * 0.68))
        band = self.place(flavor)
        if plate in ("band", "splash"):
            band = (0 if plate == "band" else -40, band[1], self.w if plate == "band" else band[2], band[3])
        self.pen.rounded_rectangle(band, (band[3] - band[1]) / (2 if plate != "band" else 99), colors["a"])
        ground = colors["w"] if plate in ("plaque", "oval") else product.base
        self.write(product.title, self.place(title), _ink(product.ink, ground), 2)
        x0, y0, x1, y1 = self.place(flavor)
        rim = (y1 - y0) * 0.2
        self.write(product.flavor, (x0 + 2 * rim, y0 + rim, x1 - 2 * rim, y1 - rim), _on(product.accent), 2)
        self.foot()
        return self.image.reduce(FINE)

    def place(self, shares: str) -> Box:
        x0, y0, x1, y1 = (float(share) for share in shares.split())
        wide = 1 - 2 * self.inset
        return (self.inset + x0 * wide) * self.w, y0 * self.h, (self.inset + x1 * wide) * self.w, y1 * self.h

    def sprite(self, name: str, x: float, y: float, radius: float, turn: float = 0.0, color: str = "") -> None:
        for points, times, own in outlines(name):
            for k in range(times):
                placed = points @ turned(turn + 360 * k / times) * radius + np.array([x, y], np.float32)
                self.pen.polygon(placed.ravel().tolist(), self.colors[color or own])

    def write(self, text: str, box: Box, fill: Color, bold: int = 1, slant: float = 0.0, arch: float = 0.0) -> None:
        """Text into a box: as large as fits, narrowed if it must be, in the middle."""
        font, pad = _font(110), 24
        left, top, right, bottom = font.getbbox(text if text.isupper() else text + "Hg", stroke_width=bold)
        right = font.getbbox(text, stroke_width=bold)[2]
        size = (round(right - left) + 2 * pad, round(bottom - top) + pad)
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).text((pad - left, pad / 2 - top), text, 255, font, stroke_width=bold)
        wide = min(box[2] - box[0], (box[3] - box[1]) * size[0] / size[1] * 1.1)
        high = min(box[3] - box[1], wide * size[1] / size[0] * 1.7)
        letters = mask.resize((max(round(wide), 1), max(round(high), 1)), Image.Resampling.BILINEAR, reducing_gap=2.0)
        if slant or arch:
            y, x = np.indices((round(high * (1 + arch)), round(wide)), np.float32)
            bow = arch * high * (2 * x / wide - 1) ** 2
            x = wide / 2 + (x - wide / 2) * (1 + slant * high / wide) + slant * (y - high / 2)
            letters = Image.fromarray(cv2.remap(np.asarray(letters), x, y - bow, cv2.INTER_LINEAR))
        corner = (round((box[0] + box[2] - wide) / 2), round((box[1] + box[3] - high) / 2))
        self.image.paste(fill, corner, letters)

    def plate(self, kind: str, brand: Box) -> Color:
        """What lies under the brand -> the color to print the brand in."""
        pen, w, h, colors = self.pen, self.w, self.h, self.colors
        x0, y0, x1, y1 = brand
        if kind == "band":
            pen.rectangle((0, 0, w, y1 * 1.02), colors["i"])
            pen.ellipse((-w * 0.1, y1 * 0.86, w * 1.1, y1 * 1.2), colors["i"])
            return colors["b"]
        if kind == "disc":
            cx, cy, r = w / 2, h * 0.46, min(w * (1 - 2 * self.inset), h * 0.75) * 0.42
            pen.ellipse((cx - r, cy - r, cx + r, cy + r), colors["i"])
            pen.ellipse((cx - r * 0.96, cy - r * 0.96, cx + r * 0.96, cy + r * 0.96), colors["l"])
        if kind == "plaque":
            pen.rounded_rectangle((x0 - w * 0.05, y0 * 0.6, x1 + w * 0.05, h * 0.475), 30, colors["w"], colors["a"], 10)
        if kind == "oval":
            pen.ellipse((x0 - w * 0.07, y0 * 0.45, x1 + w * 0.07, h * 0.36), colors["a"])
            pen.ellipse((x0 - w * 0.055, y0 * 0.56, x1 + w * 0.055, h * 0.352), colors["w"])
        if kind == "splash":
            pen.polygon([(0, y0 * 0.75), (w, y0 * 0.25), (w, y1 * 1.0), (0, y1 * 1.22)], colors["a"])
            return _on(colors["a"])
        return _ink(colors["i"], colors["w"] if kind in ("plaque", "oval") else colors["b"])

    def foot(self) -> None:
        """Bar code, small print and the size."""
        rng = np.random.default_rng(self.product.seed)
        x0, y0, x1, y1 = self.place(".05 .895 .3 .975")
        self.pen.rectangle((x0, y0, x1, y1), (255, 255, 255))
        for x in np.arange(x0 + 8, x1 - 8, 5)[rng.random(len(np.arange(x0 + 8, x1 - 8, 5))) < 0.55]:
            self.pen.rectangle((x, y0 + 6, x + 3, y1 - 14), (20, 20, 20))
        x0, y0, x1, y1 = self.place(".64 .888 .97 .98")
        self.pen.rounded_rectangle((x0, y0, x1, y1), 16, self.product.ink)
        self.write(self.product.size, (x0 + 12, y0 + 6, x1 - 12, y1 - 6), _on(self.product.ink), 2)
        lines = self.place(".33 .9 .6 .97")
        for k, line in enumerate(SMALL_PRINT):
            self.pen.text((lines[0], lines[1] + k * 22), line, _on(self.product.base), _font(17))

    def backdrop(self, kind: str) -> None:
        """The pattern behind everything."""
        pen, w, h, colors = self.pen, self.w, self.h, self.colors
        second, accent, step = colors["s"], colors["a"], w / 9
        if kind == "rays":
            for k in range(14):
                a, b = np.pi * k / 7, np.pi * (k + 0.5) / 7
                far = [(w / 2 + h * np.cos(angle), h * 0.51 + h * np.sin(angle)) for angle in (a, b)]
                pen.polygon([(w / 2, h * 0.51), *far], second)
        elif kind == "stripes":
            for x in np.arange(0, w, step):
                pen.rectangle((x, 0, x + step / 2, h), second)
        elif kind == "frame":
            for inset, color in ((0.035, second), (0.045, colors["b"]), (0.06, second), (0.064, colors["b"])):
                pen.rectangle((w * inset, w * inset, w - w * inset, h - w * inset), color)
            pen.rectangle((0, h * 0.66, w, h * 0.84), accent)
        elif kind == "waves":
            x = np.linspace(0, w, 60)
            for k, color in enumerate((second, _mix(second, accent, 0.5), accent)):
                y = h * (0.5 + 0.08 * k) + h * 0.03 * np.sin(x / w * 7 + 2.1 * k)
                pen.polygon([*zip(x, y, strict=True), (w, h), (0, h)], color)
        elif kind in ("peaks", "night", "meadow"):
            for x, y, wide, share in ((0.25, 0.42, 0.6, 0.0), (0.8, 0.5, 0.55, 0.3), (0.45, 0.58, 0.7, 0.6)):
                color = _mix(second, accent, share)
                slope = [(w * (x - wide), h), (w * x, h * y), (w * (x + wide), h)]
                if kind == "meadow":
                    pen.ellipse((w * (x - wide), h * (y + 0.13), w * (x + wide), h * 1.6), color)
                else:
                    pen.polygon(slope, color)
                    tip = [(w * x + (px - w * x) * 0.2, h * y + (py - h * y) * 0.2) for px, py in (slope[0], slope[2])]
                    pen.polygon([tip[0], slope[1], tip[1], (w * x, h * (y + 0.07))], _mix(color, (255, 255, 255), 0.7))
        elif kind in ("dots", "honey", "scatter"):
            size, sides = (0.24, 24) if kind == "dots" else (0.44, 6)
            for row, y in enumerate(np.arange(0, h, step)):
                for x in np.arange(row % 2 * step / 2, w + step, step):
                    if kind == "scatter":
                        self.sprite(self.product.sprite, x, y, step * 0.36, 40.0 * row, "s")
                    else:
                        pen.regular_polygon((x, y, step * size), sides, fill=second)
        elif kind == "diag":
            pen.polygon([(0, h * 0.55), (w, h * 0.38), (w, h), (0, h)], second)
            pen.polygon([(0, h * 0.74), (w, h * 0.57), (w, h), (0, h)], accent)
        elif kind == "split":
            pen.rectangle((0, h * 0.6, w, h), second)
            pen.ellipse((-w * 0.3, h * 0.42, w * 1.3, h * 0.8), second)
            pen.rectangle((0, h * 0.86, w, h * 0.875), accent)
        elif kind == "check":
            for x in np.arange(0, w, step):
                for y in (*np.arange(0, h * 0.12, step), *np.arange(h * 0.5, h, step)):
                    share = 0.35 + 0.65 * ((x / step + round(y / step)) % 2)
                    pen.rectangle((x, y, x + step, y + step), _mix(colors["b"], second, share))
        elif kind == "rings":
            for r in np.arange(h * 0.75, h * 0.05, -h * 0.07):
                color = second if round(r / (h * 0.07)) % 2 else colors["b"]
                pen.ellipse((w / 2 - r, h * 0.6 - r, w / 2 + r, h * 0.6 + r), color)


def _boxed(product: Product) -> npt.NDArray[np.uint8]:
    """A box seen from above and a little from its left side -> uint8 [800, 600, 4]."""
    wide, high, deep = BOXES[product.kind]
    front = np.asarray(_Front(product, wide, high, 0.0).print())
    shade = np.linspace(1.03, 0.93, high)[:, None, None] * np.linspace(0.97, 1.02, wide)[None, :, None]
    front = np.clip(front * shade, 0, 255).astype(np.uint8)
    lid = Image.new("RGB", (wide, 60), _mix(product.base, (255, 255, 255), 0.25))
    side = Image.new("RGB", (high, 120), _mix(product.base, (0, 0, 0), 0.28))
    pen = ImageDraw.Draw(side)
    pen.text((40, 30), product.brand, _mix(product.ink, product.base, 0.2), _font(44))
    pen.rectangle((high - 70, 0, high - 30, 120), _mix(product.accent, (0, 0, 0), 0.2))
    x0, y0 = (WIDTH - wide - deep) / 2, (HEIGHT - high + deep * 0.4) / 2
    x1, y1, up, low = x0 + wide, y0 + high, y0 - deep * 0.42, y0 + high - deep * 0.62
    faces = (
        (
            np.asarray(side.transpose(Image.Transpose.ROTATE_270)),
            ((x1 - 1, y0), (x1 + deep, up), (x1 + deep, low), (x1 - 1, y1)),
        ),
        (np.asarray(lid), ((x0 + deep * 0.8, up), (x1 + deep, up), (x1, y0 + 1), (x0, y0 + 1))),
        (front, ((x0, y0), (x1, y0), (x1, y1), (x0, y1))),
    )
    canvas = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    for face, corners in faces:
        h, w = face.shape[:2]
        matrix = cv2.getPerspectiveTransform(
            np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32), np.array(corners, np.float32)
        )
        solid = np.dstack([face, np.full((h, w), 255, np.uint8)])
        placed = cv2.warpPerspective(solid, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        np.copyto(canvas, placed, where=placed[..., 3:] > 127)
    return canvas


def _lathed(product: Product) -> npt.NDArray[np.uint8]:
    """What is round (can, jar, tube) or soft (bag) -> uint8 [800, 600, 4]: a skin laid around an outline, and light."""
    outline, label, bow_text, zones = table(FORMS)[product.kind].split(" | ")
    heights, halves = np.array(outline.split(), np.float32).reshape(-1, 2).T
    top, bottom, share = (float(number) for number in label.split())
    bow, soft, colors = float(bow_text), bow_text == "0", _palette(product)
    around = 1.0 if soft else 1.4
    width = round(2 * float(halves.max()) * around)
    skin = Image.new("RGB", (width, HEIGHT))
    zone = zones.split()
    for start, end, color in zip(zone[::3], zone[1::3], zone[2::3], strict=True):
        ImageDraw.Draw(skin).rectangle((0, int(start), width, int(end)), colors[color])
    near = float(np.interp((top + bottom) / 2, heights, halves)) / float(halves.max())
    front = _Front(product, round(width * share * near), round(bottom - top), (0.05 if soft else 0.14) * share).print()
    skin.paste(front.resize((round(width * share), front.height)), (round(width * (1 - share) / 2), round(top)))

    y, x = np.indices((HEIGHT, WIDTH), np.float32)
    half = np.interp(y[:, :1], heights, halves).astype(np.float32)
    half += 2.5 * np.sin(y[:, :1] / 55 + product.seed % 7) if soft else 0
    off = x + 0.5 - WIDTH / 2
    u = np.clip(off / half, -1, 1)
    round_, tooth = np.sqrt(1 - u * u), 6 * np.abs(x / 14 % 1 - 0.5) if soft else 0
    down = y - bow * round_
    column = 0.5 + (u / 2 if soft else np.arcsin(u) / np.pi)
    picture = cv2.remap(np.asarray(skin), column * (width - 1), down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    solid = np.clip(half - np.abs(off) + 0.5, 0, 1) * np.clip(heights[-1] - down - tooth + 0.5, 0, 1)
    solid *= np.clip(y - heights[0] - tooth + 0.5, 0, 1)
    if soft:
        folds = np.sin(u * 5 + y / 90 + product.seed % 5) * np.sin(y / 130 + u * 2) * 0.06
        ends = np.minimum(y - heights[0], heights[-1] - y)
        light = 0.8 + 0.24 * np.sqrt(round_) + folds + np.where(ends < 34, 0.08 * np.sin(ends * 0.9), 0)
        gloss = 46 * np.exp(-(((u + 0.62 + 0.05 * np.sin(y / 70)) / 0.09) ** 2)) * (ends > 40)
    else:
        light = 0.5 + 0.54 * np.sqrt(np.clip(1 - (0.92 * u + 0.14) ** 2, 0, 1))
        gloss = 58 * np.exp(-(((u + 0.58) / 0.1) ** 2)) + 20 * np.exp(-(((u - 0.8) / 0.08) ** 2))
    colored = np.clip(picture * light[..., None] + gloss[..., None], 0, 255)
    canvas = np.dstack([colored, solid * 255]).astype(np.uint8)
    if not soft and product.kind != "tube":
        rim, middle = colors[zone[2]], (WIDTH // 2, round(float(heights[0])))
        for share, shade in ((1.0, _mix(rim, (255, 255, 255), 0.35)), (0.86, _mix(rim, (0, 0, 0), 0.08))):
            axes = (round(float(halves[0]) * share), round(bow * share))
            cv2.ellipse(canvas, middle, axes, 0, 0, 360, (*shade, 255), -1, cv2.LINE_AA)
    return canvas
