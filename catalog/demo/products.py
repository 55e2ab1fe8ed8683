"""The drawn catalog: a table of packs of invented brands, families of look-alikes, and strangers. See `packs.py`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

Color = tuple[int, int, int]

# A line is a design: kind, backdrop, layout | brand | title | base, second, ink and (if not the accent) contents.
# Its flavors follow, indented, or on the same line behind "=": flavor / sprite / accent / size.
KNOWN = """
carton rays crown|Morgenfeld|Crunchy Muesli|f2b233 f7cb66 7a2e12
  Honey & Oats/wheat/a8641a/500 g
  Forest Berries/berries/7c2b6d/500 g
  Cocoa & Nut/choc/573021/500 g
  Apple Cinnamon/apple/b02a25/500 g
slab frame seal|VELMORA|Fine Chocolate|2b1a22 c9a45c ecd9a2
  Dark 70 %/choc/8a2f22/100 g
  Whole Milk/cow/3b74b0/100 g
  Roasted Hazelnut/nut/b9772f/100 g
  Sea Salt/crystal/3f8f8a/100 g
can waves tall|KIBO|Fizz Soda|1c3d8e 5f86d9 ffffff
  Orange/citrus/f07f1d/330 ml
  Lemon/lemon/ecc91a/330 ml
  Cherry/cherry/c81f3f/330 ml
  Lime Mint/mint/3f9d4f/330 ml
bottle peaks low|Firnbach|Spring Water|e3f2fb 9ccbe8 174a86 b9dcef
  Still/drop/2f7fc4/500 ml
  Still/drop/1d3f96/1500 ml
  Sparkling/bubbles/15907f/500 ml
jar check plaque|Nonna Tilla|Tomato Sauce|fbf1dc d98a3a 7d1f1a b3261b
  Basil/leaves/3f8a3a/420 g
  Hot Chili/chili/c8281e/420 g
  Black Olive/olive/5a3f63/420 g
bag diag burst|KRUNCHEL|Potato Chips|f7f1e3 e9dcc0 23201d
  Sea Salt/crystal/2f6fb3/150 g
  Sweet Paprika/chili/d0342c/150 g
  Aged Cheese/cheese/e39a14/150 g
  Garden Herbs/leaves/4a8f3f/150 g
chest scatter wide|Lunaveda|Herbal Tea|f6efe2 e5d6bd 3a3357
  Garden Mint/mint/2f8f6b/40 g
  Chamomile/daisy/d99a1c/40 g
  Rose Hip/cherry/b83a4b/40 g
tub split low|Polder & Dune|Creamy Yogurt|fdfcf7 cfe4f2 24507a
  Strawberry/strawberry/d8384f/400 g
  Blueberry/berries/4a4fa3/400 g
  Peach/peach/ee8b3c/400 g
bag night seal|CINDER PEAK|Mountain Coffee|23262b 454c56 f0e3c8
  Espresso/bean/c0492b/250 g
  Espresso/bean/c0492b/500 g
  Filter Roast/cup/3f7f86/250 g
  Decaf/bean/5f8a3f/250 g
jar dots oval|Bramblewick|Fruit Jam|fff6ea f3cfa9 40324a
  Strawberry/strawberry/c8283c/340 g
  Apricot/peach/e8892a/340 g
  Blackcurrant/berries/5a2560/340 g
carton check low|Pastaria Bellona|Farfalle|1f4f9c 2f66bd ffffff=Durum Wheat/bow/e8b43a/500 g
tin waves wide|Fjordvik|Sardines|f4d35e f7e08f 123a5c=In Olive Oil/fish/2d7fa6/125 g
can rings oval|Holm & Hop|Pale Ale|f2e3c2 dcb673 4a2412=Cloudy/wheat/b5651d/440 ml
flask rings burst|BLAUWIND|Fabric Wash|2a66c8 5b93ea ffffff 2f74d8=Ocean Fresh/drop/19b5c9/900 ml
jar honey oval|Summwald|Forest Honey|fff1c9 f6cf63 5a3410 d98a12=Linden/bee/e0a020/500 g
bag stripes plaque|SAWANGI|Jasmine Rice|b3202c c93a42 fff0cf=Fragrant/bowl/d6a530/1000 g
pouch dots crown|Mirko|Cat Dinner|2a8c86 45a59e ffffff=Tuna in Jelly/cat/e2674a/85 g
flask diag tall|Tomasi|Ketchup|c4201f e04a3c ffffff b81d1c=Classic/tomato/f2b632/450 g
carton stripes oval|Bixley & Sons|Butter Biscuits|7d1935 93284a f9e2b8=Chocolate Chip/cookie/c98a3b/225 g
tube split low|MIRELLE|Hand Cream|fbe9ec f1bfc9 8c3550=Almond Blossom/daisy/d3708c/75 ml
tub night crown|Gletscha|Ice Cream|243b7a 4763ad ffffff=Vanilla Cloud/cone/f0c04c/500 ml
bottle plain plaque|Casa Luminta|Olive Oil|f4eed8 b9b36a 3f4a1c 6f7a22=Extra Virgin/olive/7f8a2a/750 ml
brick meadow low|Weidemoor|Fresh Milk|cfe9f7 7fb84e 1d4f86=Whole 3.8 %/cow/2a78c2/1000 ml
tube waves burst|DENTARRA|Toothpaste|ffffff bfe6f2 0f4c8a=Arctic Mint/mint/12a59a/100 ml
"""

UNKNOWN = """
can waves tall|ZAVO|Pop Soda|7a1f7c b05fb2 ffffff=Orange/citrus/f28a22/330 ml
carton rays crown|Tannhof|Oat Muesli|e98f3a f2ad68 3f3a14=Honey Crisp/wheat/8c5a1f/450 g
slab frame seal|NOIRELLE|Grand Chocolate|17302c b9b9b0 e9e6da=Dark 80 %/choc/9a3a2a/90 g
bag diag burst|CHIPPADO|Kettle Chips|f3e9d6 dccbaa 5a1220=Smoked Paprika/chili/c2402a/130 g
jar check plaque|Zia Morella|Pasta Sauce|f6f2e6 8aa05a 2f4a1f b5301f=Basil/leaves/4a8a3a/400 g
jar dots oval|Hedgerow Jane|Berry Spread|f3f0fa c9bfe6 4a2a6a=Raspberry/berries/b8285a/320 g
bottle peaks low|Gletterbrunn|Mineral Water|e9f7f1 a5d8c4 0f5a4a c4e6da=Medium/bubbles/1f9a6a/750 ml
chest scatter wide|Teahollow|Leaf Tea|e8f0e4 c8d8c0 20402a=Lemon Balm/leaves/b8a01f/36 g
tub split low|Nordkalv|Skimmed Quark|fdf8f0 f0d8b8 6a2f1a=Strawberry/strawberry/d04050/450 g
bag night seal|ASHFALL|Dark Coffee|3a2016 5f3a2a f4dcc0=Espresso/bean/d99a2c/300 g
pouch rays crown|POPOKA|Popcorn|2a5cae 4473c2 ffffff=Sweet & Salty/popcorn/f2c230/90 g
bag check oval|Zwirbel|Mini Pretzels|f0c987 e2ae5c 5c2c0c=Sesame/pretzel/9c4a1a/200 g
bottle rings oval|Sunpatch|Fruit Juice|fff3cf ffd36b c04a12 f29a1f=Blood Orange/citrus/e2511f/700 ml
jar rings tall|Pico Brasa|Salsa|2c2320 5a3a2a f4c04a a3281a=Extra Hot/flame/e2451f/280 g
tube rays burst|LUMIO|Sun Care|ffd23f ffe07f 0f5c8c=Factor 30/sun/f2762e/150 ml
pouch honey plaque|Dalmira|Soft Dates|f4e6cf d9b37a 4a2814=Pitted/date/7a3a1c/200 g
tub rays oval|VITALOOM|Multivitamin|1f8a5a 3fa878 ffffff=Daily/star/f4c430/120 g
flask waves low|Tinkla|Dish Soap|d8f3dc 8fd6a0 1b5a3a 7fd08f=Green Apple/apple/6ab42f/500 ml
carton dots burst|GLIMMRA|Dishwasher Tabs|0f2f4f 1f4a78 ffffff=All in One/sparkle/19c0c0/640 g
brick plain tall|Havrelund|Oat Drink|e9dcc3 c9b28a 33402a=Barista/wheat/4f7a5a/1000 ml
"""


@dataclass(frozen=True)
class Product:
    """One pack: what is printed on it and how it is drawn. Colors are RGB; `family` names its look-alikes."""

    sku: str
    name: str
    brand: str
    family: str | None
    known: bool
    title: str
    flavor: str
    size: str
    kind: str
    backdrop: str
    layout: str
    sprite: str
    base: Color
    second: Color
    ink: Color
    accent: Color
    contents: Color
    seed: int


def products(seed: int = 7) -> list[Product]:
    """All packs in a stable order: first those in the catalog, then the strangers."""
    return [*_read(KNOWN, True, seed), *_read(UNKNOWN, False, seed)]


def _read(table: str, known: bool, seed: int) -> Iterator[Product]:
    for block in re.split(r"\n(?! )", table.strip("\n")):
        design, *flavors = re.split(r"=|\n +", block)
        look, brand, title, codes = design.split("|")
        kind, backdrop, layout = look.split()
        stem = re.sub(r"\W", "", brand.split()[0]).upper()
        for line in flavors:
            flavor, sprite, accent, size = line.split("/")
            base, second, ink, contents = (color_of(code) for code in (*codes.split(), accent)[:4])
            sku = f"{stem}-{re.sub(r'[^A-Z]', '', flavor.split()[0].upper())}-{size.split()[0]}"
            name, family = f"{brand} {title} {flavor}, {size}", stem if len(flavors) > 1 else None
            style = (title, flavor, size, kind, backdrop, layout, sprite)
            shades = (base, second, ink, color_of(accent), contents)
            yield Product(sku, name, brand, family, known, *style, *shades, digest(seed, sku))


def digest(*parts: object) -> int:
    """Anything printable -> a seed of 32 bits, the same in every process."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "big")


def color_of(code: str) -> Color:
    """Six hexadecimal digits -> RGB."""
    return int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)
